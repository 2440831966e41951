"""A cursor whose result arrives in chunks, so that one is hydrated while the next is on its way.

libpq returns a result in chunks since version 17. Until the last one has arrived the connection
cannot execute another statement: **fetching** hydrates between chunks only where hydration runs
no code but the native core's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
from psycopg import capabilities
from psycopg.pq import TransactionStatus
from psycopg.waiting import Ready, Wait

from turbo_orm import bridge
from turbo_orm.backend.cursors import BridgedCursor


def is_possible() -> bool:
    """Return whether the libpq that psycopg uses can return a result in chunks."""
    return capabilities.has_stream_chunked()


class StreamingCursor(BridgedCursor):
    """A driver's cursor that executes one statement and yields its result in chunks of rows."""

    def __init__(self, cursor: Any, async_connection: Any, chunk_size: int) -> None:
        super().__init__(cursor, async_connection)
        self._chunk_size = chunk_size
        self._received: AsyncGenerator[Any] | None = None
        self._first: Any = None
        self._noted: Any = None

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> StreamingCursor:
        """Send the statement and wait for the first rows. Later rows may still fail."""
        self._noted = query
        self._received = _receive(self._cursor, query, params, self._chunk_size)
        self._first = self._in_turn(partial(anext, self._received, None))
        return self

    def pgresults(self) -> Iterator[Any]:
        """Yield the result as ``PGresult`` objects; none if there are no rows."""
        assert self._received is not None
        pgresult = self._first
        while pgresult is not None:
            yield pgresult
            pgresult = bridge.await_(anext(self._received, None))

    def close(self) -> None:
        """Close the cursor, once the whole result has arrived."""
        if self._received is not None and bridge.active():
            bridge.await_(self._received.aclose())
        self._note(self._noted)
        super().close()


async def _receive(cursor: Any, query: Any, params: Any, chunk_size: int) -> AsyncGenerator[Any]:
    """Send a statement and yield its result in chunks, with the connection locked."""
    connection = cursor.connection
    async with connection.lock:
        connection.has_streamed = True
        try:
            await connection.wait(cursor._stream_send_gen(query, params, size=chunk_size))
            first = True
            while pgresult := await connection.wait(_eagerly(cursor._stream_fetchone_gen(first))):
                yield pgresult
                first = False
        finally:
            # Cancelling the statement would abort the transaction. In Django it goes on: a sync
            # cursor has received the whole result by now.
            while connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
                with suppress(psycopg.Error):
                    await connection.wait(cursor._stream_fetchone_gen(False))


def _eagerly[R](steps: Generator[int, int, R]) -> Generator[int, int, R]:
    """Read what has arrived already before waiting for more: a wait costs a cycle of the loop."""
    try:
        wanted = next(steps)
        while True:
            if wanted == Wait.R:
                wanted = steps.send(Ready.R)
            wanted = steps.send((yield wanted))
    except StopIteration as stop:
        result: R = stop.value
        return result
