"""The request that the server cancel a statement: it is sent whatever happens to who sends it.

psycopg gives up when the task is cancelled once more, as by a server that is told to stop: then
the statement would go on, for hours if need be. The request has a connection of its own.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

from psycopg import OperationalError
from psycopg.errors import CancellationTimeout
from psycopg.pq import ConnStatus, ExecStatus, PollingStatus, TransactionStatus

from turbo_orm.driver.completion import until_done

#: After how many seconds the request is repeated.
INTERVAL = 0.5
# So many seconds, where the answer of the next statement of a pipeline is waited for.
_PAUSE = 0.1

type Steps = Generator[tuple[int, bool], None, None]


def _request(pgconn: Any) -> Steps:
    """Send the request. Yield the socket to wait for, and whether that is to read."""
    connection = pgconn.cancel_conn()
    try:
        connection.start()
        while (status := connection.poll()) != PollingStatus.OK:
            if status == PollingStatus.FAILED:
                raise OperationalError(f"cancellation failed: {connection.get_error_message()}")
            yield connection.socket, status == PollingStatus.READING
    finally:
        connection.finish()


async def send(pgconn: Any, seconds: float) -> None:
    """Send the request. A task that is cancelled meanwhile is so when the request is sent.

    Raises psycopg's ``CancellationTimeout`` if that takes too long.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    steps = _request(pgconn)
    cancelled = None
    try:
        # Not a task: a loop that is shut down cancels all tasks.
        for descriptor, is_to_read in steps:
            ready = loop.create_future()
            watch, forget = (
                (loop.add_reader, loop.remove_reader)
                if is_to_read
                else (loop.add_writer, loop.remove_writer)
            )
            watch(descriptor, _wake, ready)
            try:
                while not ready.done():
                    if loop.time() >= deadline:
                        raise CancellationTimeout("cancellation timeout expired")
                    try:
                        await asyncio.wait([ready], timeout=deadline - loop.time())
                    except asyncio.CancelledError as exc:
                        cancelled = exc
            finally:
                forget(descriptor)
    except OperationalError:
        if cancelled is None:
            raise
    finally:
        steps.close()
    if cancelled is not None:
        raise cancelled


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


@asynccontextmanager
async def repeated(pgconn: Any) -> AsyncIterator[None]:
    """Repeat the request while a statement is waited for that psycopg has cancelled.

    The server ignores a request that arrives before the statement does, by another connection:
    psycopg would wait for it, and close the connection, and the server would go on.
    """
    repeating = asyncio.create_task(_repeat(pgconn), name="turbo_orm-cancelling")
    try:
        yield
    finally:
        repeating.cancel()
        # One that is on its way must not arrive while the next statement runs.
        cancelled = await until_done(repeating)
        if cancelled is not None:
            raise cancelled


async def _repeat(pgconn: Any) -> None:
    while True:
        await asyncio.sleep(INTERVAL)
        if pgconn.transaction_status != TransactionStatus.ACTIVE:
            return
        with suppress(OperationalError):
            await send(pgconn, INTERVAL)


def cancel_pipeline(pgconn: Any, statements: int, seconds: float) -> None:
    """Have no statement of a pipeline run where no event loop runs, or give up after some time.

    When the server has cancelled one, it goes on with the next.
    """
    deadline = monotonic() + seconds
    with suppress(OperationalError), selectors.DefaultSelector() as selector:
        selector.register(pgconn.socket, selectors.EVENT_READ)
        while statements and (left := deadline - monotonic()) > 0:
            send_blocking(pgconn, left)
            if selector.select(min(left, _PAUSE)):
                pgconn.consume_input()
            while statements and pgconn.status == ConnStatus.OK and not pgconn.is_busy():
                result = pgconn.get_result()
                statements -= result is not None and result.status == ExecStatus.PIPELINE_SYNC


def send_blocking(pgconn: Any, seconds: float) -> None:
    """Send the request where no event loop runs, or give up after some time."""
    deadline = monotonic() + seconds
    steps = _request(pgconn)
    try:
        for descriptor, is_to_read in steps:
            with selectors.DefaultSelector() as selector:
                selector.register(
                    descriptor, selectors.EVENT_READ if is_to_read else selectors.EVENT_WRITE
                )
                if not selector.select(deadline - monotonic()):
                    return
    except OperationalError:
        return
    finally:
        steps.close()
