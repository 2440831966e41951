"""What sync code sees as ``django.db.connections``: on the bridge, in event loops, in threads."""

import asyncio

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connection as default_connection
from django.db import connections
from django.db.utils import ConnectionDoesNotExist
from django_async_backend.db import async_connections

from tests.support.clients import separate_task
from tests.support.event_loop import played
from turbo_orm.backend.base import BridgedDatabaseWrapper
from turbo_orm.bridge import await_, run


def seen(alias="default"):
    return connections[alias]


def close_async_connections():
    return asyncio.gather(*[async_connections[alias].close() for alias in async_connections])


def test_connections_are_djangos_in_sync_code():
    assert not isinstance(connections["default"], BridgedDatabaseWrapper)
    assert connections["default"] is connections["default"]


@played
async def test_connections_are_bridged_in_an_event_loop():
    before = connections["default"]
    assert isinstance(before, BridgedDatabaseWrapper)
    bridged = await run(seen)
    outside = connections["default"]
    assert isinstance(bridged, BridgedDatabaseWrapper)
    assert bridged.alias == "default"
    assert bridged is outside
    # It was made before there was a connection, of which it is since it was used.
    assert before.async_connection is bridged.async_connection
    assert before.__dict__ is bridged.__dict__
    assert (await run(seen, "other")).alias == "other"


def test_connections_are_djangos_where_no_event_loop_runs(tables):
    assert not isinstance(connections["default"], BridgedDatabaseWrapper)


def test_connections_are_djangos_where_sync_code_is_allowed(monkeypatch):
    """As in a notebook."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

    async def look():
        assert not isinstance(connections["default"], BridgedDatabaseWrapper)
        assert isinstance(await run(seen), BridgedDatabaseWrapper)

    asyncio.run(look())


WAITING = {
    "cursor": [],
    "chunked_cursor": [],
    "close": [],
    "commit": [],
    "get_autocommit": [],
    "rollback": [],
    "savepoint": [],
    "savepoint_commit": ["s"],
    "savepoint_rollback": ["s"],
    "set_autocommit": [False],
    "connect": [],
}


@pytest.mark.parametrize("method", WAITING)
def test_plain_code_in_an_event_loop_cannot_wait_for_the_database(method, tables):
    async def steps():
        with pytest.raises(SynchronousOnlyOperation, match=r"async_connections\['default'\]"):
            getattr(connections["default"], method)(*WAITING[method])
        assert async_connections["default"].connection is None

    asyncio.run(steps())


@played
async def test_the_proxy_of_the_default_connection_follows():
    mine = async_connections["default"]
    assert await run(lambda: default_connection.async_connection) is mine
    assert default_connection.async_connection is mine


@played
async def test_connections_do_not_leak_to_what_runs_meanwhile():
    waiting = asyncio.Event()
    found = []

    async def look():
        """As another task, and as a callback of the loop, in the same context even."""
        found.append(connections["default"].async_connection)
        asyncio.get_running_loop().call_soon(
            lambda: found.append(connections["default"].async_connection)
        )
        await asyncio.sleep(0)
        waiting.set()

    def function():
        before = seen().async_connection
        task = asyncio.create_task(look())
        await_(waiting.wait())
        await_(task)
        return before, seen().async_connection

    mine = async_connections["default"]
    assert await run(function) == (mine, mine)
    assert len({mine, *found}) == 3


@played
async def test_connections_are_djangos_in_a_thread():
    def function():
        return await_(asyncio.to_thread(lambda: type(connections["default"])))

    assert not issubclass(await run(function), BridgedDatabaseWrapper)


@played
async def test_each_task_has_a_connection_of_its_own_behind_the_bridge():
    def function():
        connections["default"].ensure_connection()
        await_(asyncio.sleep(0))
        driver = connections["default"].connection
        await_(asyncio.sleep(0))
        assert connections["default"].connection is driver
        return driver

    drivers = await asyncio.gather(*[separate_task(run(function)) for _ in range(3)])
    assert len(set(map(id, drivers))) == 3


@played
async def test_what_one_side_changes_the_other_sees():
    def function():
        connections["default"].needs_rollback = True
        connections["default"].execute_wrappers.append("wrapper")
        return connections["default"].connection

    mine = async_connections["default"]
    await mine.ensure_connection()
    assert await run(function) is mine.connection
    assert mine.needs_rollback
    assert mine.execute_wrappers == ["wrapper"]
    mine.needs_rollback = False
    mine.execute_wrappers.clear()
    await close_async_connections()


@played
async def test_an_alias_that_does_not_exist():
    with pytest.raises(ConnectionDoesNotExist, match="'nope' doesn't exist"):
        await run(seen, "nope")


def test_all_connections_can_still_be_listed_and_closed():
    assert {connection.alias for connection in connections.all()} == {"default", "other", "pooled"}
    connections.close_all()
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
