"""libpq's pipeline mode, for as long as statements are on their way on a connection.

They are sent without waiting for the results of those before, each with a Sync of its own: an
error is that of its statement, unless that has aborted a transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import psycopg
from psycopg import capabilities
from psycopg.pq import TransactionStatus

from turbo_orm._core import Parameters
from turbo_orm.driver import cancel_request, libpq
from turbo_orm.driver.connection import AsyncConnection
from turbo_orm.driver.pipeline_mode import PipelineMode
from turbo_orm.driver.prepared import Bound
from turbo_orm.driver.statement_lock import StatementLock

_IDLE = TransactionStatus.IDLE

#: So many seconds are between two looks at what no task waits for any more.
SOON = 0.01


class StatementPipeline(PipelineMode):
    """The statements that are on their way on a connection.

    Made where the connection's lock is held. It releases the lock when all results have arrived.
    """

    @staticmethod
    async def begin(driver: AsyncConnection) -> StatementPipeline:
        """Return one that pipelines if libpq can, and no pooler is in front of the database."""
        is_possible = libpq.bind() and capabilities.has_pipeline()
        if is_possible and not await driver.prepared.ask_whether_off(driver):
            return StatementPipeline(driver)
        return _InTurn(driver)

    def __init__(self, driver: AsyncConnection) -> None:
        super().__init__(driver)
        #: Whether the statements are in a transaction, which an error aborts.
        self.is_in_transaction = driver.pgconn.transaction_status != _IDLE
        # A request to cancel is on its way: it must not arrive while another statement runs.
        self._is_cancelling = False
        # Done when no statement is on its way any more, if that is waited for.
        self._ended: asyncio.Future[None] | None = None
        self._begin()

    def _begin(self) -> None:
        try:
            self.pipeline = self.driver.begin_pipeline(self, tells_end=True)
            if self.driver.has_streamed:
                # libpq is in another mode until the first statement of a pipeline has ended.
                self.driver.has_streamed = False
                self.pipeline.send(b"", None, self._loop).cancel()
                self._flush_soon()
        except psycopg.Error:
            self.driver.end_pipeline(is_lost=True)
            raise

    def is_abandoned(self) -> bool:
        """Return whether no task waits for any of the results that are to arrive."""
        return all(reply.done() for _, reply in self.pipeline.under_way())

    async def wait(self, seconds: float) -> None:
        """Wait until no statement is on its way any more, or so many seconds."""
        if self._ended is None:
            self._ended = self._loop.create_future()
        await asyncio.wait([self._ended], timeout=seconds)

    async def cancel(self) -> bool:
        """Cancel the statement that runs. Return whether it has ended, and not in vain."""
        completed = self.pipeline.completed
        self._is_cancelling = True
        try:
            await self._cancel_running()
        finally:
            self._is_cancelling = False
            self.end()
        for _ in range(int(cancel_request.INTERVAL / SOON)):
            if self.pipeline.completed != completed or not self.is_open:
                return True
            await self.wait(SOON)
        return False

    def drop(self) -> None:
        """Forget all, and close the connection: no event loop runs any more."""
        self.is_open = False
        self.driver.finish()
        # What waits for the lock cannot be told.
        self.driver.lock = StatementLock()

    # For the core

    def end(self) -> None:
        """Go back to one statement after the other, if none is on its way."""
        if self.is_open and not self._is_cancelling and not len(self.pipeline):
            try:
                self._leave_mode()
            finally:
                self.give_back()

    receive_unasked = end

    def give_back(self) -> None:
        """Unlock the connection, which has left pipeline mode."""
        self.is_open = False
        self.driver.lock.release()
        if self._ended is not None:
            self._ended.set_result(None)


class _InTurn(StatementPipeline):
    """Executes one statement, where there are no pipelines."""

    def _begin(self) -> None:
        self.is_open = False
        self._is_sent = False

    def send(
        self, bound: Bound, name: bytes | None, parameters: Parameters | None
    ) -> Awaitable[list[Any]]:
        sql = bound.render(self.driver)
        self._is_sent = True
        return self._execute(sql)

    async def _execute(self, sql: bytes) -> list[Any]:
        try:
            return await self.driver.exchange(sql)
        finally:
            self.driver.lock.release()

    def end(self) -> None:
        """Release the lock if nothing was sent. Otherwise that is done behind the statement."""
        if not self._is_sent:
            self._is_sent = True
            self.driver.lock.release()
