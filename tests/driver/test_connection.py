"""The driver's connection, whose socket the event loop watches from one statement to the next."""

import asyncio
import contextvars
import gc
import os
import socket
import warnings
import weakref
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import pytest
from psycopg import generators
from psycopg.pq import TransactionStatus

from tests.support.cancellation import CancelledAt, at_once, too_late, uncancel
from tests.support.clients import until
from turbo_orm.driver.connection import AsyncConnection
from turbo_orm.driver.socket_reader import is_farewell


def parameters():
    from django.db import connections

    given = connections["default"].get_connection_params()
    return {
        key: given[key] for key in ("dbname", "user", "password", "host", "port") if key in given
    }


@pytest.fixture(params=["asyncio", "uvloop"])
def looped(request, tables):
    """Return a function that runs a coroutine function with a connection, on either loop."""
    factory = None
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def run(function):
        async def main():
            complaints = []
            asyncio.get_running_loop().set_exception_handler(
                lambda loop, context: complaints.append(context)
            )
            connection = await connect()
            async with asyncio.timeout(30):
                found = await function(connection)
            await connection.close()
            assert complaints == []
            return found

        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main())

    return run


async def connect():
    return await AsyncConnection.connect(**parameters(), autocommit=True)


async def terminate(pid):
    """End what a server's process does for a client that has gone."""
    async with await connect() as other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@asynccontextmanager
async def several(number):
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await connect()) for _ in range(number)]


async def ask(connection, sql="SELECT 1"):
    cursor = await connection.execute(sql)
    return (await cursor.fetchone())[0]


def is_watched(connection):
    return connection._reader._loop is not None


def test_it_stays_watched_from_one_statement_to_the_next(looped):
    async def steps(connection):
        assert not is_watched(connection)
        for number in range(3):
            assert await ask(connection, f"SELECT {number}") == number
            assert is_watched(connection)
        async with connection.transaction():
            assert await ask(connection) == 1
        await connection.close()
        assert not is_watched(connection)

    looped(steps)


def test_large_results_and_large_statements(looped):
    """The former arrive piece by piece, and the latter are sent so."""

    async def steps(connection):
        assert len(await ask(connection, "SELECT repeat('x', 10000000)")) == 10_000_000
        text = "x" * 10_000_000
        for factory in (psycopg.AsyncCursor, psycopg.AsyncClientCursor):
            connection.cursor_factory = factory
            cursor = await connection.execute("SELECT length(%s)", [text])
            assert await cursor.fetchone() == (10_000_000,)
        assert await ask(connection) == 1

    looped(steps)


def test_everything_else_of_the_drivers(looped):
    async def steps(connection):
        await connection.execute("CREATE TEMPORARY TABLE t (x integer)")
        async with connection.cursor() as cursor:
            async with cursor.copy("COPY t FROM STDIN") as copy:
                for number in range(1000):
                    await copy.write_row([number])
            await cursor.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)])
            async with cursor.copy("COPY t TO STDOUT") as copy:
                assert len([row async for row in copy.rows()]) == 1002
            assert len([row async for row in cursor.stream("SELECT * FROM t")]) == 1002
        async with connection.transaction(), connection.cursor("named") as cursor:
            await cursor.execute("SELECT x FROM t ORDER BY x LIMIT 3")
            assert await cursor.fetchall() == [(0,), (1,), (1,)]
        async with connection.pipeline():
            one, two = await connection.execute("SELECT 1"), await connection.execute("SELECT 2")
            assert [await one.fetchone(), await two.fetchone()] == [(1,), (2,)]
        assert await ask(connection) == 1

    looped(steps)


def test_errors_leave_it_as_it_was(looped):
    async def steps(connection):
        for _ in range(2):
            with pytest.raises(psycopg.errors.UndefinedColumn):
                await connection.execute("SELECT nothing")
            assert await ask(connection) == 1

    looped(steps)


def test_notifications_while_nobody_waits(looped):
    """The loop does not turn for what nobody reads, and nothing gets lost."""

    async def steps(connection):
        await connection.execute("LISTEN news")
        async with await connect() as other:
            assert is_watched(connection)
            await other.execute("NOTIFY news, 'first'")
            await until(lambda: not is_watched(connection))
            await other.execute("NOTIFY news, 'second'")
        assert await ask(connection) == 1
        assert is_watched(connection)
        arrived = [told.payload async for told in connection.notifies(timeout=5, stop_after=2)]
        assert arrived == ["first", "second"]
        assert await ask(connection) == 1

    looped(steps)


def test_handlers_are_called_by_who_waits(looped):
    seen, variable = [], contextvars.ContextVar("variable")

    def handler(notice):
        seen.append((variable.get(), asyncio.current_task()))

    async def steps(connection):
        assert await ask(connection) == 1
        variable.set("here")
        connection.add_notice_handler(handler)
        connection.add_notify_handler(handler)
        await connection.execute("DO $$ BEGIN RAISE WARNING 'noticed'; END $$")
        await connection.execute("LISTEN news; NOTIFY news")
        assert seen == [("here", asyncio.current_task())] * 2
        connection.remove_notice_handler(handler)
        connection.remove_notify_handler(handler)
        assert await ask(connection) == 1

    looped(steps)


def test_the_server_ends_it_while_nobody_waits(looped):
    async def steps(connection):
        assert await ask(connection) == 1
        await terminate(connection.info.backend_pid)
        await until(lambda: not is_watched(connection))
        with pytest.raises(psycopg.OperationalError):
            await ask(connection)
        assert connection.closed
        assert not is_watched(connection)

    looped(steps)


def test_the_server_ends_it_while_a_statement_runs(looped):
    async def steps(connection):
        assert await ask(connection) == 1
        fd = connection.fileno()
        waiting = asyncio.create_task(ask(connection, "SELECT pg_sleep(10)"))
        async with await connect() as other:
            await other.execute(
                "SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid]
            )
            with pytest.raises(psycopg.OperationalError):
                await waiting
        assert not is_watched(connection)
        # The next sockets have the numbers of those that were closed.
        async with several(5) as others:
            assert fd in [other.fileno() for other in others]
            assert await asyncio.gather(*map(ask, others)) == [1] * 5

    looped(steps)


def test_the_network_ends(looped):
    async def steps(connection):
        assert await ask(connection) == 1
        pid = connection.info.backend_pid
        waiting = asyncio.create_task(ask(connection, "SELECT pg_sleep(10)"))
        await asyncio.sleep(0.01)
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)
        with pytest.raises(psycopg.OperationalError):
            await waiting
        assert not is_watched(connection)
        await terminate(pid)

    looped(steps)


def test_the_network_has_ended_before_a_statement(looped):
    async def steps(connection):
        assert await ask(connection) == 1
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)
        with pytest.raises(psycopg.OperationalError):
            await ask(connection)
        assert not is_watched(connection)
        assert connection.closed

    looped(steps)


def test_a_socket_that_was_read_meanwhile_is_open():
    """The loop calls back for what has arrived, which may have been read by then."""
    ours, servers = socket.socketpair()
    with ours, servers:
        ours.setblocking(False)
        assert not is_farewell(ours.fileno())
        servers.send(b"A")
        assert not is_farewell(ours.fileno())
        ours.recv(1)
        servers.send(b"E")
        assert is_farewell(ours.fileno())
        ours.recv(1)
        servers.close()
        assert is_farewell(ours.fileno())


def test_it_is_closed_while_somebody_waits(looped):
    async def steps(connection):
        pid = connection.info.backend_pid
        waiting = asyncio.create_task(ask(connection, "SELECT pg_sleep(10)"))
        await asyncio.sleep(0.01)
        await connection.close()
        with pytest.raises(psycopg.OperationalError, match="closed"):
            await waiting
        await terminate(pid)

    looped(steps)


def test_descriptors_are_used_again(looped):
    async def steps(connection):
        numbers = set()
        for _ in range(20):
            other = await connect()
            assert await ask(other) == 1
            numbers.add(other.fileno())
            await other.close()
            # A socket of asyncio's with the same number is watched, too.
            left, right = socket.socketpair()
            reader, writer = await asyncio.open_unix_connection(sock=left)
            right.send(b"x")
            assert await reader.readexactly(1) == b"x"
            writer.close()
            right.close()
            await writer.wait_closed()
        assert len(numbers) < 10

    looped(steps)


def test_what_nobody_has_closed_is_not_watched_any_more(looped):
    async def steps(connection):
        other = await connect()
        assert await ask(other) == 1
        fd, gone = other.fileno(), weakref.ref(other)
        assert is_watched(other)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del other
            gc.collect()
        assert gone() is None
        assert not asyncio.get_running_loop().remove_reader(fd)

    looped(steps)


def test_it_keeps_no_context_and_no_loop(looped):
    class Request:
        pass

    async def in_a_task(connection):
        request = Request()
        variable.set(request)
        await ask(connection)
        return weakref.ref(request)

    async def steps(connection):
        request = await asyncio.create_task(in_a_task(connection))
        assert is_watched(connection)
        # The loop itself keeps it until its next turn.
        await asyncio.sleep(0)
        gc.collect()
        assert request() is None
        return weakref.ref(asyncio.get_running_loop())

    variable = contextvars.ContextVar("variable")
    loop = looped(steps)
    gc.collect()
    assert loop() is None


def test_another_loop_goes_on_with_it_while_its_own_is_open(tables):
    with asyncio.Runner() as runner:
        connection = runner.run(connect())
        assert runner.run(ask(connection)) == 1
        with asyncio.Runner() as other:
            assert other.run(ask(connection)) == 1
        assert runner.run(ask(connection)) == 1
    assert connection.closed


STATEMENTS = {
    "one": "SELECT pg_sleep(0.02)",
    "large": "SELECT repeat('x', 3000000) FROM generate_series(1, 3)",
}


@pytest.mark.parametrize("way", [at_once, too_late])
@pytest.mark.parametrize("name", STATEMENTS)
def test_what_is_cancelled_leaves_it_clean(name, way, looped):
    async def wait(connection):
        async with connection.lock:
            connection.pgconn.send_query(STATEMENTS[name].encode())
            return await connection.wait(generators.execute(connection.pgconn))

    async def steps(connection):
        number, suspensions = 0, 1
        while number <= suspensions:
            number += 1
            cancelled = CancelledAt(wait(connection), number, way=way)
            try:
                await cancelled
            except asyncio.CancelledError:
                assert cancelled.cancellations
            uncancel()
            suspensions = cancelled.suspensions
            assert connection.info.transaction_status is TransactionStatus.IDLE
            assert await ask(connection) == 1
        assert number > 1

    looped(steps)
