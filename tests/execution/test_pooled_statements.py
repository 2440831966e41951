"""A statement borrows a connection of the pool for itself, where its task has none."""

import asyncio
import gc
import logging
import weakref

import pytest
from django.conf import settings
from django.contrib.postgres.signals import get_hstore_oids, register_type_handlers
from django.db import IntegrityError, OperationalError, connections
from django.db.backends.signals import connection_created
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext, override_settings

from tests.library.models import Account
from tests.support.clients import Rival, until
from tests.support.sharing import ANY
from tests.support.statements import Statement, Ways
from tests.support.statements import ask as ask_default
from turbo_orm import async_atomic, async_connection
from turbo_orm.backend.task_connections import async_connections, in_context
from turbo_orm.driver import multiplexing
from turbo_orm.driver.pool import loop_pools
from turbo_orm.execution import direct

pytestmark = pytest.mark.usefixtures("scratch", "without_receivers")

SIZE = 4
PID = "SELECT pg_backend_pid()"


@pytest.fixture
def without_receivers():
    """Have nobody receive ``connection_created``, who has to be told of each that is new."""
    connection_created.disconnect(register_type_handlers)
    yield
    connection_created.connect(register_type_handlers)


@pytest.fixture
def ways(monkeypatch):
    return Ways(monkeypatch)


@pytest.fixture(params=["plain", "shared"])
def pooled(request, run, monkeypatch):
    """Return a function that runs a coroutine function where there is a pool, all at rest.

    Once, one of its connections is shared in the beginning.
    """

    async def share():
        pool = loop_pools().get("pooled")
        driver = pool.acquire_nowait()
        await driver.prepared.ask_whether_off(driver)
        assert pool.multiplexer.adopt(driver, ANY)

    def run_pooled(function):
        async def steps():
            # The first one connects, and its task keeps the connection until it ends.
            assert await asyncio.create_task(ask(PID))
            if request.param == "shared":
                await share()
            try:
                return await function()
            finally:
                await at_rest()

        return run(steps)

    if request.param == "shared":
        # The pool is too small for it.
        monkeypatch.setattr(multiplexing, "most_of", lambda size: 1)
        monkeypatch.setattr(multiplexing, "_BUSY", 0)
        with override_settings(TURBO_ORM={**settings.TURBO_ORM, "MULTIPLEX": 1}):
            yield run_pooled
    else:
        yield run_pooled


async def ask(sql, *params):
    return await ask_default(sql, *params, using="pooled")


def in_task(sql=PID, *params):
    return asyncio.create_task(ask(sql, *params))


def driver_pool():
    return loop_pools().driver_pools["pooled"]


def is_at_rest():
    stats, pool = driver_pool().get_stats(), loop_pools().get("pooled")
    return (
        stats["pool_available"] == stats["pool_size"] > 0
        and not stats.get("requests_waiting")
        and pool.waiting == 0
        and not pool.queue.is_waited()
        and pool.queue.requester is None
    )


async def at_rest():
    await until(is_at_rest)


async def fill():
    """Have the pool be as large as it may be, and all of its connections known to Django."""

    async def connect():
        async with async_atomic("pooled"):
            await barrier.wait()

    barrier = asyncio.Barrier(SIZE)
    await asyncio.gather(*[asyncio.create_task(connect()) for _ in range(SIZE)])
    await at_rest()


async def way(ways, *args):
    return await asyncio.create_task(ways.of(*args, using="pooled"))


def test_no_wrapper_is_made(pooled, ways):
    async def steps():
        async def one():
            way = await ways.of(using="pooled")
            return way, "pooled" in in_context.get(), async_connections.has("pooled")

        assert await asyncio.create_task(one()) == ("direct", False, False)
        assert loop_pools().get("pooled").holders == {}

    pooled(steps)


def test_what_is_gathered_runs_side_by_side(pooled, ways):
    async def steps():
        found = await asyncio.gather(*[in_task(PID + ", pg_sleep(0.05)") for _ in range(SIZE * 3)])
        assert len({row for (row,) in found}) == SIZE
        assert driver_pool().get_stats()["pool_size"] == SIZE

    pooled(steps)


def test_who_came_first_is_served_first(pooled):
    class Numbered(Statement):
        def render(self, connection):
            served.append(self.params)
            return b"SELECT pg_sleep(0.001)"

    async def steps():
        waiting = [Numbered("", (number,)) for number in range(200)]
        await asyncio.gather(*[direct.execute("pooled", statement) for statement in waiting])
        assert served == [statement.params for statement in waiting]

    served = []
    pooled(steps)


def test_both_kinds_of_borrowers_get_their_turns(pooled):
    async def steps():
        served = []

        async def one(kind):
            if kind == "direct":
                await ask("SELECT pg_sleep(0.001)")
            else:
                async with async_atomic("pooled"):
                    await ask("SELECT pg_sleep(0.001)")
            served.append(kind)

        kinds = ["direct"] * 100 + ["transaction"] * 20
        await asyncio.gather(*[asyncio.create_task(one(kind)) for kind in kinds])
        assert "transaction" in served[:60]
        assert "direct" in served[:30]

    pooled(steps)


def test_where_none_is_free_in_time(pooled):
    async def hold(begun, ended):
        async with async_connection("pooled"):
            begun.release()
            await ended.wait()

    async def steps():
        begun, ended = asyncio.Semaphore(0), asyncio.Event()
        holders = [asyncio.create_task(hold(begun, ended)) for _ in range(SIZE)]
        for _ in holders:
            await begun.acquire()
        driver_pool().timeout = 0.1
        with pytest.raises(OperationalError, match=r"couldn't get a connection after 0\.10 sec"):
            await in_task()
        driver_pool().timeout = 5
        waiting = [in_task() for _ in range(10)]
        await asyncio.sleep(0.01)
        for task in waiting[::2]:
            task.cancel()
        driver_pool().max_waiting = 5
        with pytest.raises(OperationalError, match="requests waiting"):
            await in_task()
        ended.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(rows, list) for rows in found] == [False, True] * 5
        await asyncio.gather(*holders)

    pooled(steps)


def test_who_is_cancelled_with_a_connection_in_the_hand_gives_it_on(pooled):
    async def steps():
        pool = loop_pools().get("pooled")
        taken = [await driver_pool().getconn() for _ in range(SIZE)]
        first, second = in_task(), in_task()
        await until(lambda: pool.waiting == 2)
        pool.release(taken.pop())
        # It has been given to the first, who does not know yet.
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second
        for connection in taken:
            pool.release(connection)

    pooled(steps)


def test_a_connection_that_a_task_does_nothing_with_is_taken(pooled, ways):
    async def keep():
        async with async_atomic("pooled"):
            # Each has a connection, which it keeps afterwards.
            await barrier.wait()
        await barrier.wait()
        await barrier.wait()

    async def steps():
        keepers = [asyncio.create_task(keep()) for _ in range(SIZE)]
        await barrier.wait()
        await barrier.wait()
        assert driver_pool().get_stats()["pool_available"] == 0
        assert await way(ways) == "direct"
        await barrier.wait()
        await asyncio.gather(*keepers)

    barrier = asyncio.Barrier(SIZE + 1)
    pooled(steps)


def test_a_task_whose_connection_was_taken_borrows(pooled, ways):
    async def work():
        async with async_atomic("pooled"):
            pass
        assert await ways.of(using="pooled") == "direct"
        async_connections["pooled"].put_back()
        assert await ways.of(using="pooled") == "direct"
        assert async_connections["pooled"].connection is None
        async with async_atomic("pooled"):
            await Account.objects.using("pooled").acreate(owner="Ada")
        assert await ask("SELECT owner FROM library_account") == [("Ada",)]

    pooled(lambda: asyncio.create_task(work()))


def test_errors_are_djangos_and_the_connection_goes_back(pooled):
    async def steps():
        await in_task("INSERT INTO library_account (owner, balance) VALUES ('Ada', 1)")
        for _ in range(2 * SIZE):
            with pytest.raises(IntegrityError) as caught:
                await in_task("INSERT INTO library_account (owner, balance) VALUES ('Ada', 1)")
            assert caught.value.__cause__.sqlstate == "23505"

    pooled(steps)


@pytest.mark.parametrize(
    "sql", ["SELECT pg_terminate_backend(pg_backend_pid())", "COPY library_account FROM STDIN"]
)
def test_a_broken_connection_is_replaced(sql, pooled):
    async def steps():
        for _ in range(3 * SIZE):
            with pytest.raises(Exception, match=r"closed|COPY|terminat"):
                await in_task(sql)
            assert await in_task("SELECT 1") == [("1",)]
        assert driver_pool().get_stats()["pool_size"] <= SIZE

    pooled(steps)


def test_an_old_connection_is_replaced(pooled):
    async def steps():
        await fill()
        old = {row for _ in range(SIZE) for row in await in_task()}
        for connection in driver_pool()._pool:
            connection._expire_at = 0
        assert {row for _ in range(SIZE) for row in await in_task()} == old
        await at_rest()
        assert not old & {row for _ in range(SIZE) for row in await in_task()}

    pooled(steps)


def test_the_pool_grows_while_they_wait_and_is_told_of_those_that_come(pooled):
    async def steps():
        size = driver_pool().get_stats()["pool_size"]
        assert size < SIZE
        await asyncio.gather(*[in_task("SELECT pg_sleep(0.1)") for _ in range(20)])
        assert size < driver_pool().get_stats()["pool_size"] <= SIZE

    pooled(steps)


def test_who_watches_sees_it(pooled, ways):
    async def steps():
        assert await way(ways) == "direct"
        with override_settings(DEBUG=True):
            assert await way(ways) == "cursor"
        with CaptureQueriesContext(connections["pooled"]) as captured:
            assert await way(ways, "SELECT 7") == "cursor"
        assert [query["sql"] for query in captured] == ["SELECT 7"]

    pooled(steps)


def test_receivers_are_told_of_each_connection_that_is_got(pooled, ways):
    def receive(connection, **kwargs):
        told.append(connection.alias)

    async def steps():
        asked = get_hstore_oids.cache_info()
        connection_created.connect(receive)
        try:
            assert await way(ways) == "cursor"
        finally:
            connection_created.disconnect(receive)
        assert told == ["pooled"]
        assert get_hstore_oids.cache_info() == asked
        assert await way(ways) == "direct"

    told = []
    pooled(steps)


def test_types_are_registered_once_with_each_connection(pooled, ways):
    async def steps():
        connection_created.connect(register_type_handlers)
        assert await way(ways) == "cursor"
        await fill()
        assert [await way(ways) for _ in range(2 * SIZE)] == ["direct"] * 2 * SIZE
        # As when an extension is made.
        get_hstore_oids.cache_clear()
        assert await way(ways) == "cursor"
        assert await way(ways) == "direct"

    pooled(steps)
    # Other tests are not to find Django asking for them.
    for alias in ("default", "other"):
        get_hstore_oids(alias)


@pytest.mark.parametrize(("name", "value"), [("CONN_HEALTH_CHECKS", True), ("AUTOCOMMIT", False)])
def test_settings_that_ask_for_more(name, value, pooled, ways, monkeypatch):
    async def steps():
        assert await way(ways) == "direct"
        with monkeypatch.context() as patch:
            patch.setitem(connections.settings["pooled"], name, value)
            assert await way(ways) == "cursor"
        # One that has come back without autocommit is mended first.
        assert "direct" in [await way(ways) for _ in range(2 * SIZE)]

    pooled(steps)


def test_a_time_zone_that_has_changed(pooled, ways):
    async def steps():
        assert await in_task("SHOW TIME ZONE") == [("UTC",)]
        with override_settings(TIME_ZONE="Asia/Tokyo", USE_TZ=False):
            assert await way(ways) == "cursor"
            assert await in_task("SHOW TIME ZONE") == [("Asia/Tokyo",)]
        assert await way(ways) == "cursor"
        for _ in range(SIZE):
            assert await in_task("SHOW TIME ZONE") == [("UTC",)]

    pooled(steps)


def test_a_session_that_was_left_in_another_time_zone(pooled, ways):
    async def steps():
        for _ in range(SIZE):
            await in_task("SET TIME ZONE 'Asia/Tokyo'")
            assert await in_task("SHOW TIME ZONE") == [("UTC",)]

    pooled(steps)


def test_a_task_that_was_started_in_a_block_is_refused(pooled):
    async def steps():
        for block in (async_atomic, async_connection):
            async with block("pooled"):
                with pytest.raises(TransactionManagementError, match="was started inside it"):
                    await in_task()
            assert await in_task()

    pooled(lambda: asyncio.create_task(steps()))


def test_a_task_whose_parent_has_ended(pooled, ways):
    async def parent():
        await Account.objects.using("pooled").acount()
        return asyncio.create_task(child())

    async def child():
        await asyncio.sleep(0.01)
        return await ways.of(using="pooled")

    async def steps():
        assert await (await asyncio.create_task(parent())) == "direct"

    pooled(steps)


def test_a_pool_that_is_closed(pooled, ways):
    async def steps():
        await driver_pool().close()
        del loop_pools().driver_pools["pooled"]
        assert await way(ways) == "cursor"
        assert await way(ways) == "direct"

    pooled(steps)


def test_a_lost_connection_is_not_used(pooled):
    async def steps():
        ((pid,),) = await in_task()
        rival.terminate(int(pid))
        # The loop reads what has arrived.
        await asyncio.sleep(0.05)
        found = [await in_task() for _ in range(2 * SIZE)]
        assert [(pid,)] not in found

    with Rival() as rival:
        pooled(steps)


def test_an_event_loop_that_has_ended_is_not_kept(tables, caplog):
    # A record of the log has the exception, which has the frames, which have the loop.
    caplog.set_level(logging.CRITICAL, "psycopg.pool")

    async def work():
        await in_task()
        tasks = [in_task() for _ in range(20)]
        await asyncio.gather(*tasks[:10])
        # It ends while some wait.
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(work()) for _ in range(3)]
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3
