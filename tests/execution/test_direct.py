"""Direct execution: where nothing needs a cursor, and the cursor path everywhere else."""

import asyncio
from pathlib import Path

import psycopg
import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import register_tzloader
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext, override_settings
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus

import turbo_orm
from tests.library.models import Account
from tests.support.clients import Rival
from tests.support.counting import python_calls
from tests.support.statements import Statement, Ways, ask, rows
from turbo_orm import async_atomic, async_connection, bridge
from turbo_orm.backend import n_plus_one
from turbo_orm.backend.shared_connection import shared_connections
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.execution import direct

pytestmark = pytest.mark.usefixtures("scratch")

PACKAGE = str(Path(turbo_orm.__file__).parent)
INSERT = "INSERT INTO library_account (owner, balance) VALUES (%s, %s) RETURNING owner"


@pytest.fixture
def ways(monkeypatch):
    return Ways(monkeypatch)


@pytest.fixture
def connected(run, ways):
    """Return a function that runs a coroutine function in a task that has a connection."""

    def run_connected(function):
        async def steps():
            # The first one connects, which is Django's business.
            assert await ways.of() == "cursor"
            assert await ways.of() == "direct"
            return await function()

        return run(steps)

    return run_connected


def driver():
    return async_connections["default"].connection


def test_both_ways_give_the_same(connected, ways):
    async def play():
        async with async_atomic():
            await ask(INSERT, "it's 100 %", 1)
            update = Statement("UPDATE library_account SET balance = %s", (2,))
            result, context = await direct.execute("default", update)
            assert context.connection is driver()
            found.append((ways.last, result.command_tuples))
            found.append(await ask("SELECT owner, balance, NULL FROM library_account"))
            connection.set_rollback(True)

    async def steps():
        assert await ways.of() == "direct"
        await play()
        with wrapped():
            assert await ways.of() == "cursor"
            await play()

    found = []
    connected(steps)
    row = [("it's 100 %", "2", None)]
    assert found == [("direct", 1), row, ("cursor", 1), row]


def wrapped():
    return connection.execute_wrapper(lambda execute, *args: execute(*args))


@pytest.mark.parametrize(
    "watch",
    [wrapped, lambda: CaptureQueriesContext(connection), lambda: override_settings(DEBUG=1)],
)
def test_who_watches_sees_the_statement(watch, connected, ways):
    async def steps():
        with watch():
            assert await ways.of("SELECT 2") == "cursor"
            if connection.queries_logged:
                assert connection.queries[-1]["sql"] == "SELECT 2"
        assert await ways.of() == "direct"

    connected(steps)


def test_it_can_be_switched_off(connected, ways):
    async def steps():
        with override_settings(TURBO_ORM={"DIRECT_EXECUTION": False}):
            assert await ways.of("SELECT 2") == "cursor"
        assert await ways.of() == "direct"

    connected(steps)


def test_a_tool_that_has_a_cursor_of_its_own(connected, ways):
    async def steps():
        cursor, seen = connection.cursor, []
        connection.cursor = lambda *args: seen.append(args) or cursor(*args)
        assert await ways.of() == "cursor"
        assert seen == [()]
        del connection.cursor
        assert await ways.of() == "direct"

    connected(steps)


def test_who_is_watched_by_its_parent(connected, ways):
    async def steps():
        with CaptureQueriesContext(connection) as captured:
            assert await asyncio.create_task(ways.of("SELECT 3")) == "cursor"
        assert [query["sql"] for query in captured] == ["SELECT 3"]

    connected(steps)


def test_a_test_that_forbids_the_database(connected, ways, monkeypatch):
    def forbidden(*args):
        raise AssertionError("forbidden")

    async def steps():
        monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", forbidden)
        with pytest.raises(AssertionError, match="forbidden"):
            await ask("SELECT 1")
        monkeypatch.undo()

    connected(steps)


def test_a_time_zone_that_has_changed(connected, ways):
    async def steps():
        with override_settings(TIME_ZONE="Asia/Tokyo", USE_TZ=False):
            assert await ways.of() == "cursor"
            assert await ask("SHOW TIME ZONE") == [("Asia/Tokyo",)]
        assert await ways.of() == "cursor"
        assert await ask("SHOW TIME ZONE") == [("UTC",)]
        assert await ways.of() == "direct"

    connected(steps)


def test_moments_in_another_time_zone(connected, ways):
    async def steps():
        register_tzloader(None, driver())
        driver()._timezone = object()
        assert await ways.of() == "cursor"

    connected(steps)


def test_a_health_check_that_is_due(connected, ways):
    async def steps():
        async_connections["default"].health_check_enabled = True
        assert await ways.of() == "direct"
        async_connections["default"].health_check_done = False
        assert await ways.of() == "cursor"
        assert async_connections["default"].health_check_done
        assert await ways.of() == "direct"

    connected(steps)


MESSAGE = "SELECT current_query()"


def test_a_transaction_begins_with_its_first_statement(connected, ways):
    """In one message: there is a trip to the server less."""

    async def steps():
        async with async_atomic():
            assert await ask(MESSAGE) == [(f"BEGIN;{MESSAGE}",)]
            assert await ask(MESSAGE) == [(MESSAGE,)]
            assert driver().info.transaction_status == TransactionStatus.INTRANS
            async with async_atomic():
                assert await ask(MESSAGE) == [(MESSAGE,)]
            assert await ways.of() == "direct"
        assert driver().info.transaction_status == TransactionStatus.IDLE
        assert await ask(MESSAGE) == [(MESSAGE,)]

    connected(steps)


FIRST_STATEMENTS = {
    "no column": ("SELECT nothing", []),
    "no SQL": ("SELEC 1", []),
    "no number": ("SELECT %s::integer", ["x"]),
    "a division by zero": ("SELECT 1 / balance FROM (SELECT 0 AS balance OFFSET 0) AS t", []),
    "a row that is there": (INSERT, ["Ada", 1]),
}


@pytest.mark.parametrize("case", FIRST_STATEMENTS)
def test_a_first_statement_that_fails(case, connected, ways):
    """Its error says where in the statement, and what it has done it does once."""

    async def outcome():
        try:
            async with async_atomic():
                try:
                    await ask(sql, *params)
                except DatabaseError as exc:
                    found = [type(exc), str(exc), exc.__cause__.diag.statement_position]
                found.append(driver().info.transaction_status)
                raise LookupError
        except LookupError:
            keys = "SELECT last_value FROM library_account_id_seq"
            return [*found, await ask("SELECT count(*) FROM library_account"), await ask(keys)]

    async def steps():
        await ask(INSERT, "Ada", 1)
        directly = await outcome()
        await ask("SELECT setval('library_account_id_seq', 1)")
        with wrapped():
            assert await outcome() == directly
        assert directly[3] == TransactionStatus.INERROR

    sql, params = FIRST_STATEMENTS[case]
    connected(steps)


def test_a_transaction_that_cannot_begin(connected, ways):
    async def outcome():
        with pytest.raises(ProgrammingError) as caught:
            async with async_atomic():
                await ask("SELECT 1")
        return str(caught.value), driver().info.transaction_status

    async def steps():
        async with async_connection():
            driver()._begin_statement = b"BEGIN NOTHING"
            directly = await outcome()
            with wrapped():
                assert await outcome() == directly
            assert "NOTHING" in directly[0]
            driver()._begin_statement = b""
            async with async_atomic():
                assert await ask("SELECT 2") == [("2",)]

    connected(steps)


@pytest.mark.parametrize("level", [None, IsolationLevel.SERIALIZABLE])
def test_a_transaction_of_an_isolation_level(level, connected, ways):
    async def steps():
        async with async_connection() as held:
            await held.connection.set_isolation_level(level)
            async with async_atomic():
                assert await ways.of() == "direct"
                assert await ask("SHOW transaction_isolation") == [(expected,)]
            await held.connection.set_isolation_level(None)

    expected = "serializable" if level else "read committed"
    connected(steps)


def test_a_broken_transaction(connected):
    async def insert_twice():
        async with async_atomic(savepoint=False):
            await ask(INSERT, "Ada", 1)
            await ask(INSERT, "Ada", 2)

    async def steps():
        async with async_atomic():
            with pytest.raises(IntegrityError):
                await insert_twice()
            with pytest.raises(TransactionManagementError, match="can't execute queries"):
                await ask("SELECT 1")
            connection.set_rollback(True)
        assert await ask("SELECT count(*) FROM library_account") == [("0",)]

    connected(steps)


@pytest.mark.parametrize("factory", [psycopg.AsyncCursor, psycopg.AsyncClientCursor])
def test_cursors_of_somebody_else(factory, connected, ways):
    async def steps():
        driver().cursor_factory = factory
        assert await ways.of() == "cursor"

    connected(steps)


def test_a_pipeline(connected, ways):
    async def steps():
        async with async_connection() as held, held.connection.pipeline():
            # As ever: Django's cursor has nothing to show before the pipeline is flushed.
            with pytest.raises(AttributeError):
                await ways.of()
            assert ways.last == "cursor"
        assert await ways.of() == "direct"

    connected(steps)


def test_who_holds_the_lock_is_waited_for(connected, ways):
    async def steps():
        async with driver().lock:
            waiting = asyncio.ensure_future(bridge.run(lambda: None))
            await waiting
            assert not driver().is_ready(driver()._timezone)
        assert driver().is_ready(driver()._timezone)
        task = asyncio.create_task(driver().execute("SELECT pg_sleep(0.05)"))
        await asyncio.sleep(0)
        assert await ask("SELECT 4") == [("4",)]
        assert task.done()

    connected(steps)


def test_who_asks_the_connection_meanwhile_waits(connected):
    async def steps():
        asked = asyncio.create_task(ask_driver(driver()))
        assert await ask("SELECT pg_sleep(0.05)") == [("",)]
        assert await asked == (5,)

    async def ask_driver(driver):
        cursor = await driver.execute("SELECT 5")
        return await cursor.fetchone()

    connected(steps)


def test_errors_are_djangos(connected, ways):
    cases = [
        (INSERT, ("Ada", 1), IntegrityError, psycopg.errors.UniqueViolation, False),
        ("SELECT nothing", (), ProgrammingError, psycopg.errors.UndefinedColumn, True),
        ("SELECT 1 / 0", (), DataError, psycopg.errors.DivisionByZero, False),
        ("SELECT %s", ("\0",), DataError, psycopg.DataError, False),
    ]

    async def steps():
        await ask(INSERT, "Ada", 1)
        for sql, params, expected, cause, occurred in cases:
            for way in ("direct", "cursor"):
                wrapper = async_connections["default"]
                wrapper.errors_occurred = False
                wrapper.force_debug_cursor = way == "cursor"
                with pytest.raises(expected) as caught:
                    await ways.of(sql, *params)
                assert ways.last == way
                assert type(caught.value) is expected
                assert isinstance(caught.value.__cause__, cause)
                assert wrapper.errors_occurred is occurred
            assert await ask("SELECT 1") == [("1",)]

    connected(steps)


def test_what_has_no_rows_and_is_no_command(connected, ways):
    async def steps():
        for way in ("direct", "cursor"):
            for sql in ("", "COPY library_account TO STDOUT", "COPY library_account FROM STDIN"):
                async_connections["default"].force_debug_cursor = way == "cursor"
                with pytest.raises(ProgrammingError) as caught:
                    await ways.of(sql)
                assert ways.last == way
                found.append(str(caught.value))
                async_connections["default"].force_debug_cursor = False
                # A connection that waits for data is replaced.
                assert await ask("SELECT 1") == [("1",)]

    found = []
    connected(steps)
    assert found[:3] == found[3:]


def test_of_several_results_it_is_the_first(connected, ways):
    async def steps():
        assert await ask("SELECT 1; SELECT 2") == [("1",)]
        with pytest.raises(ProgrammingError):
            await ways.of("SELECT 1; SELECT nothing")
        assert ways.last == "direct"
        assert await ask("SELECT 1") == [("1",)]

    connected(steps)


def test_a_task_that_was_started_in_a_block_is_refused(connected):
    async def steps():
        for block in (async_atomic, async_connection):
            async with block():
                await ask("SELECT 1")
                with pytest.raises(TransactionManagementError, match="was started inside it"):
                    await asyncio.create_task(ask("SELECT 1"))

    connected(steps)


def test_each_task_has_a_connection_of_its_own(connected):
    async def pid():
        return await ask("SELECT pg_backend_pid()")

    async def steps():
        pids = [await pid(), *await asyncio.gather(pid(), pid()), await pid()]
        assert pids[0] == pids[3]
        assert len({found for ((found,),) in pids}) == 3

    connected(steps)


def test_a_lost_connection_is_replaced(connected, ways):
    async def steps():
        rival.terminate(driver().info.backend_pid)
        with pytest.raises(OperationalError):
            await ways.of()
        assert ways.last == "direct"
        assert await ways.of() == "cursor"
        assert await ways.of() == "direct"

    with Rival() as rival:
        connected(steps)


def test_a_lost_connection_is_not_replaced_in_a_transaction(connected):
    async def lose():
        async with async_atomic():
            await ask("SELECT 1")
            rival.terminate(driver().info.backend_pid)
            with pytest.raises(OperationalError):
                await ask("SELECT 1")
            await ask("SELECT 1")

    async def steps():
        with pytest.raises(OperationalError):
            await lose()
        assert await ask("SELECT 1") == [("1",)]

    with Rival() as rival:
        connected(steps)


def test_in_code_on_the_bridge(connected, ways):
    """An async receiver of a signal runs there."""

    async def steps():
        assert await bridge.run(lambda: bridge.await_(ask("SELECT 6"))) == [("6",)]
        assert await bridge.run(lambda: bridge.await_(ways.of())) == "direct"

    connected(steps)


def test_a_connection_that_a_test_shares(ways):
    async def steps():
        return [await ways.of(INSERT, "Ada", 1), await ways.of()]

    in_a_test = transaction.atomic()
    in_a_test._from_testcase = True
    with in_a_test:
        with shared_connections():
            assert asyncio.run(steps()) == ["cursor"] * 2
        assert Account.objects.get().owner == "Ada"
        transaction.set_rollback(True)
    assert not Account.objects.exists()


def test_after_direct_execution_django_goes_on(connected):
    async def steps():
        async with async_atomic():
            await Account.objects.acreate(owner="Ada")
            assert await ask(INSERT, "Bo", 1) == [("Bo",)]
            assert await Account.objects.acount() == 2
        assert rows(await direct.execute("default", Statement("SELECT 1"))) == [("1",)]
        assert [account.owner async for account in Account.objects.order_by("pk")] == ["Ada", "Bo"]

    connected(steps)


def test_python_calls_of_a_statement(connected):
    """Those of asyncio's own are 6, those of psycopg 110, those of the cursor path 170."""

    class One(Statement):
        def render(self, connection):
            return b"SELECT 1"

    # Read the settings anew, whatever a test has left.
    n_plus_one.follow_setting(setting="DEBUG")

    async def steps():
        statement = One("SELECT 1")
        await direct.execute("default", statement)
        with python_calls() as calls:
            for _ in range(20):
                await direct.execute("default", statement)
        return calls

    calls = connected(steps)
    ours = [each.name for each in calls if "turbo_orm" in each.file and "tests" not in each.file]
    assert len(ours) <= 20 * 15, set(ours)
    if psycopg.pq.__impl__ != "python":
        # What counts them is among them.
        assert len(calls) // 20 <= 32
