"""A connection in libpq's pipeline mode: statements are sent without waiting for results.

Each has a Sync of its own: an error is that of its statement, unless that has aborted a
transaction. What one turn of the event loop brings is sent at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

import psycopg

from turbo_orm._core import Parameters, Pipeline
from turbo_orm.driver import cancel_request

if TYPE_CHECKING:
    from turbo_orm.driver.connection import AsyncConnection
    from turbo_orm.driver.prepared import Bound


class PipelineMode:
    """Sends statements, and has all of them raise where the connection is lost."""

    #: What sends and receives.
    pipeline: Pipeline

    def __init__(self, driver: AsyncConnection) -> None:
        self.driver = driver
        self.is_open = True
        self._loop = asyncio.get_running_loop()
        # In no context: a task's would be kept for as long.
        self._context = Context()
        self._is_flushing = False

    def send(
        self, bound: Bound, name: bytes | None, parameters: Parameters | None
    ) -> Awaitable[list[Any]]:
        """Send a statement at the end of the event loop's turn, and return the reply to it.

        It is one that was prepared by a name, or has literals for its values. Raises psycopg's
        ``OperationalError`` if the connection is lost.
        """
        sql = bound.render(self.driver) if name is None else b""
        try:
            if name is None or parameters is None:
                reply = self.pipeline.send(sql, bound.statement, self._loop)
            else:
                reply = self.pipeline.send_prepared(name, parameters, bound.statement, self._loop)
        except psycopg.Error as exc:
            # Of the message, a part may be queued.
            self.lose(exc, False)
            raise
        self._flush_soon()
        return reply

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush, context=self._context)

    def _flush(self) -> None:
        """Send what is queued, and the rest when the socket takes it.

        Tasks may go on meanwhile: what they send is flushed in the next turn.
        """
        self._is_flushing = False
        if not self.is_open:
            return
        is_all = True
        try:
            is_all = self.pipeline.flush()
        except psycopg.Error as exc:
            self.lose(exc, False)
        if self.is_open:
            self.driver.watch_writing(None if is_all else self._flush)

    def lose(self, error: BaseException | None, is_broken: bool) -> None:
        """Have all statements raise: the connection is lost. Called by the core, too."""
        if not self.is_open:
            return
        pgconn = self.driver.pgconn
        reason = str(error or f"consuming input failed: {pgconn.get_error_message()}")
        replies = self.pipeline.abandon()
        self.driver.end_pipeline(is_lost=True)
        self.give_back()
        for reply in replies:
            reply.set_exception(psycopg.OperationalError(reason))

    def _leave_mode(self) -> None:
        """Leave pipeline mode, as no statement is on its way, or else close the connection."""
        try:
            self.driver.end_pipeline()
        except psycopg.Error:
            self.driver.end_pipeline(is_lost=True)

    async def _cancel_running(self) -> None:
        """Request that the server cancel the statement that runs."""
        with suppress(psycopg.Error):
            await self.driver.cancel_safe(timeout=cancel_request.INTERVAL)

    def give_back(self) -> None:
        """Have the connection be used otherwise, after pipeline mode has ended."""
        raise NotImplementedError
