"""Prepared statements whose tables are changed by another connection."""

import psycopg
import pytest
from django.db import NotSupportedError, connections

from turbo_orm import async_atomic, async_connection, bridge

pytestmark = pytest.mark.usefixtures("tables")


@pytest.fixture
def change(driver):
    """A table, and a function by which another connection changes the type of its column."""
    driver.execute("CREATE TABLE prepared (number int); INSERT INTO prepared VALUES (7)")

    async def change_type():
        another = await psycopg.AsyncConnection.connect(
            driver.info.dsn, password=driver.info.password, autocommit=True
        )
        async with another:
            await another.execute("ALTER TABLE prepared ALTER number TYPE text")

    try:
        yield change_type
    finally:
        driver.execute("DROP TABLE prepared")


def ask():
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT * FROM prepared")
        return cursor.fetchall()


async def prepare(connection):
    # As with the options server_side_binding and prepare_threshold.
    connection.connection.cursor_factory = psycopg.AsyncCursor
    connection.connection.prepare_threshold = 0
    assert await bridge.run(ask) == [(7,)]
    assert await bridge.run(ask) == [(7,)]


def test_a_statement_is_prepared_anew(run, change):
    async def asked():
        async with async_connection() as connection:
            await prepare(connection)
            await change()
            return [await bridge.run(ask) for _ in range(2)]

    assert run(asked) == [[("7",)], [("7",)]]


def test_in_a_transaction_it_fails_once(run, change):
    """The server has aborted the transaction. The next one has a statement of its own."""

    async def asked():
        async with async_connection() as connection:
            await prepare(connection)
            await change()
            with pytest.raises(NotSupportedError, match="cached plan"):
                async with async_atomic():
                    await bridge.run(ask)
            async with async_atomic():
                return await bridge.run(ask)

    assert run(asked) == [("7",)]


def test_another_error_of_its_class_is_raised(run):
    async def asked():
        async with async_connection():
            await bridge.run(fail)

    def fail():
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT DISTINCT 1 FROM pg_class FOR UPDATE")

    with pytest.raises(NotSupportedError, match="DISTINCT"):
        run(asked)
