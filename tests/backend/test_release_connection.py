"""A task that is to wait for something else gives its connection back at once."""

import pytest
from asgiref.sync import async_to_sync
from django.db.transaction import atomic, set_rollback

from tests.library.models import Account
from tests.support.engines import DAB, project
from turbo_orm import async_atomic, release_connection
from turbo_orm.backend.shared_connection import shared_connections

RELEASED = """
    from django.db.transaction import TransactionManagementError
    from turbo_orm import async_connection, release_connection

    def available():
        return async_connections["default"].pool.get_stats()["pool_available"]
"""


def test_a_released_connection_is_the_pools_at_once(scratch):
    code = """
    async def main():
        found = []
        await release_connection()
        await ask()
        found.append(available())
        await release_connection()
        found.append(available())
        await release_connection("default")
        return [*found, await ask()]

    answer(asyncio.run(main()))
    """
    assert project(RELEASED + code) == [0, 1, 0]


def test_a_released_connection_is_closed_where_there_is_no_pool(scratch):
    code = """
    async def main():
        await ask()
        driver = async_connections["default"].connection
        await release_connection()
        return [driver.closed, await ask(), driver is async_connections["default"].connection]

    answer(asyncio.run(main()))
    """
    assert project(RELEASED + code, DAB) == [True, 0, False]


def test_a_cursor_that_is_done_with_does_not_keep_it(scratch):
    """When one of django-async-backend's is closed does not show, so it pins the connection."""
    code = """
    async def main():
        cursor = async_connections["default"].cursor()
        if asyncio.iscoroutine(cursor):
            cursor = await cursor
        async with cursor as opened:
            await opened.execute("SELECT 1")
        before = available()
        await release_connection()
        return [before, available()]

    answer(asyncio.run(main()))
    """
    assert project(RELEASED + code) == [0, 1]


HELD = {
    "a transaction": "async with async_atomic():",
    "an async_connection() block": "async with async_connection():",
    "a transaction that SQL has begun": "async with begun():",
    "an iterator": "async for _ in Account.objects.aiterator(chunk_size=1):",
}


@pytest.mark.parametrize("case", HELD)
def test_a_connection_in_use_is_not_released(case, scratch):
    code = """
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def begun():
        await run_sync(lambda: connection.cursor().execute("BEGIN"))
        yield
        await run_sync(lambda: connection.cursor().execute("COMMIT"))

    async def main():
        await Account.objects.abulk_create([Account(owner=f"{n}") for n in range(3)])
        found = []
        WITH
            try:
                await release_connection()
            except TransactionManagementError as error:
                found.append(str(error))
            await ask()
        await release_connection()
        return [found[0], async_connections["default"].connection is None]

    answer(asyncio.run(main()))
    """
    message, is_released = project(RELEASED + code.replace("WITH", HELD[case]))
    assert "'default'" in message
    assert is_released


def test_the_connection_of_a_test_stays(scratch):
    async def release():
        async with async_atomic():
            await Account.objects.acreate(owner="shared")
        await release_connection()
        return await Account.objects.acount()

    with shared_connections(["default"]), atomic():
        assert async_to_sync(release)() == 1
        set_rollback(True)
    assert Account.objects.count() == 0
