"""Connections of a pool that several tasks use at once: their statements are sent in a pipeline.

A statement on a connection of its own has two processes wake up for it. Of those that are sent
together, the server reads one after the other, and the event loop as many results at a time as
have arrived. Each has a Sync of its own, so that an error is that of its statement alone.

Only statements that read, that are known to be quick, and that need nothing of a session are
sent so. Those that have waited for two looks, which are ``PATIENCE`` apart, are executed on
connections of their own, and the one that they wait for is taken for slow. Where it has run since
the first look, it keeps the connection, which takes no more statements.

A connection is shared when it has executed a statement that could have been sent so, while others
are in use. It goes back to the pool when it has nothing to do, or when tasks wait for one in vain.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import capabilities
from psycopg.pq import ExecStatus, TransactionStatus

from turbo_orm._core import Parameters, Reply
from turbo_orm.driver import connection_created, durations, libpq, psycopg_pools
from turbo_orm.driver.pipeline_mode import PipelineMode
from turbo_orm.driver.prepared import Bound, Preparation
from turbo_orm.driver.socket_reader import is_farewell

if TYPE_CHECKING:
    from turbo_orm.driver.connection import AsyncConnection
    from turbo_orm.driver.pool import Pool

#: A statement with so many bytes of parameters is not sent on a shared connection.
BYTES = 16_000
#: So many seconds are between two looks at a shared connection.
PATIENCE = 0.02
#: After so many seconds without a statement, a shared connection goes back to the pool.
IDLE = 1.0
#: For so many seconds at most, what is on its way is cancelled when the loop shuts down.
CLOSING = 1.0
#: So many statements may be on their way on a shared connection, and so many where statements
#: have waited for two looks again and again.
MOST = 128
FEWEST = 8
# Shared connections are used while so many others are in use.
_BUSY = 2

_FATAL_ERROR = ExecStatus.FATAL_ERROR
_IDLE = TransactionStatus.IDLE

#: What ``TURBO_ORM["MULTIPLEX"]`` says.
wanted = 0


def most_of(size: int) -> int:
    """Return how many connections of a pool may be shared: less than a fourth of it."""
    return (size - 1) // 4


class Moved(Exception):
    """A statement is to be executed on another connection."""


class SharedConnection(PipelineMode):
    """A connection of a pool in pipeline mode."""

    def __init__(self, driver: AsyncConnection, multiplexer: Multiplexer) -> None:
        super().__init__(driver)
        #: What the connection is like: see Pool.
        self.terms = multiplexer.pool.terms
        #: How many statements may be on their way.
        self.most = MOST
        #: Whether nothing was on its way at the last look, and nothing was answered before it.
        self.is_idle = False
        self._multiplexer = multiplexer
        # The replies that no task waits for.
        self._preparing: set[Reply] = set()
        # At the last look: how many statements were complete, and how many sent; how many
        # connections the pool was given back. And since how many looks nothing is to be done.
        self._completed, self._sent = -1, 0
        self._released = multiplexer.pool.released
        self._idle = 0
        # The request that the server cancel what no task waits for any more.
        self._cancelling: asyncio.Task[None] | None = None
        self.pipeline = driver.begin_pipeline(self)
        self._timer = self._look_later()

    async def execute(self, bound: Bound, parameters: Parameters) -> list[Any]:
        """Execute a statement as on a connection of its own, and return its results.

        Raises ``Moved`` if it is to be executed there, and psycopg's ``OperationalError`` if the
        connection is lost.
        """
        statement, prepared = bound.statement, self.driver.prepared
        name = prepared.name(bound, parameters)
        results: list[Any] = await self.send(bound, name, parameters)
        if results[-1].status == _FATAL_ERROR:
            if name is not None and prepared.is_refused(statement, results):
                raise Moved
        else:
            if results[-1].ntuples > durations.ROWS:
                statement.seconds = durations.SLOW
            if name is None and prepared.count(bound, parameters, results[-1]):
                self._prepare()
        return results

    def _prepare(self) -> None:
        """Queue the preparation of what is due. No task waits for it."""
        if not self.is_open:
            return
        prepared, pipeline, loop = self.driver.prepared, self.pipeline, self._loop
        try:
            for each in prepared.take_preparations(self.driver):
                reply = pipeline.prepare(
                    each.name, each.sql, each.parameters, each.statement, loop
                )
                self._preparing.add(reply)
                reply.add_done_callback(partial(self._is_prepared, each))
            for name in prepared.take_discarded():
                reply = pipeline.send(b"DEALLOCATE " + name, None, loop)
                self._preparing.add(reply)
                reply.add_done_callback(self._preparing.discard)
        except psycopg.Error as exc:
            self.lose(exc, False)
        self._flush_soon()

    def _is_prepared(self, preparation: Preparation, reply: Reply) -> None:
        self._preparing.discard(reply)
        with suppress(psycopg.OperationalError):
            preparation.complete(reply.result())

    def _look_later(self) -> asyncio.TimerHandle:
        return self._loop.call_later(PATIENCE, self._look, context=self._context)

    def _look(self) -> None:
        """See whether statements have waited for too long, or nothing is to be done any more."""
        try:
            if len(self.pipeline):
                # The loop may have had no time to do so.
                self.pipeline.receive()
            if self.is_open:
                self._see()
        finally:
            if self.is_open:
                self._timer = self._look_later()

    def _see(self) -> None:
        under_way = self.pipeline.under_way()
        completed = self.pipeline.completed
        pool = self._multiplexer.pool
        # So many were there at the last look.
        overdue = self._sent - completed
        self.is_idle = not under_way and completed == self._completed
        self._idle = self._idle + 1 if self.is_idle else 0
        if overdue > 0:
            self._move(under_way, overdue, completed - self._completed)
        elif self.most < MOST:
            self.most += 2
        if (
            not self._multiplexer.wants(self)
            or self._idle > IDLE / PATIENCE
            # Tasks wait for a connection, and none comes back while this one may do.
            or (pool.waiting and (self.is_idle or pool.released == self._released))
        ):
            self._multiplexer.retire(self)
        self._completed, self._sent = completed, completed + len(under_way)
        self._released = pool.released
        if self not in self._multiplexer.shared:
            self._end_if_idle(under_way)

    def _move(self, under_way: list[tuple[Any, Reply]], overdue: int, answered: int) -> None:
        """Have statements executed elsewhere that wait for others.

        If so many were answered meanwhile that none can be slow, they were too many.
        """
        statement = under_way[0][0]
        if answered < FEWEST and statement is not None:
            statement.seconds = durations.SLOW
        self.most = max(FEWEST, self.most // 2)
        if not answered:
            self._multiplexer.retire(self)
            overdue = len(under_way)
        for _, reply in under_way[1:overdue]:
            if reply not in self._preparing:
                reply.set_exception(Moved())

    def _end_if_idle(self, under_way: list[tuple[Any, Reply]]) -> None:
        """Give the connection back when all is done, and cancel what no task waits for."""
        if self._is_cancelling():
            return
        if not under_way:
            self.end()
        elif all(reply.done() or reply in self._preparing for _, reply in under_way):
            self._cancelling = self._loop.create_task(
                self._cancel_running(), name="turbo_orm-cancelling", context=Context()
            )

    def _is_cancelling(self) -> bool:
        """Return whether a request is on its way: it must not arrive in the next statement."""
        return self._cancelling is not None and not self._cancelling.done()

    def receive_unasked(self) -> None:
        """Give the connection back: a notification has come, or the server's last message.

        Called by the core. It is read with the next statement.
        """
        if self._is_cancelling():
            self.lose(None, False)
            return
        driver = self.detach()
        if not driver.closed and is_farewell(driver.pgconn.socket):
            driver.note_farewell()
        self._multiplexer.pool.release(driver)

    def end(self) -> None:
        """Give the connection back, on which no statement is on its way."""
        self._multiplexer.pool.release(self.detach())

    def detach(self) -> AsyncConnection:
        """Return the connection, on which no statement is on its way, and have none any more."""
        self.close_nowait()
        self._leave_mode()
        return self.driver

    def give_back(self) -> None:
        """Give the connection, which has left pipeline mode, back to the pool."""
        self.close_nowait()
        self._multiplexer.pool.release(self.driver)

    def close_nowait(self) -> None:
        """Forget all: the loop is closed, or the caller has the connection."""
        self.is_open = False
        self._timer.cancel()
        self._multiplexer.forget(self)

    async def close(self) -> None:
        """Give the connection back, with nothing left on the server: the loop shuts down."""
        deadline = self._loop.time() + CLOSING
        while len(self.pipeline) and self._loop.time() < deadline:
            # The server goes on with the next one.
            await self._cancel_running()
            await asyncio.sleep(0.001)
        if len(self.pipeline):
            self.lose(psycopg.OperationalError("the pool is closed"), False)
        elif self.is_open:
            self.end()


class Multiplexer:
    """The shared connections of a pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        #: Those that statements may be sent on, and those that are to be given back.
        self.shared: list[SharedConnection] = []
        self.retired: set[SharedConnection] = set()

    def choose(self, bound: Bound) -> SharedConnection | None:
        """Return a connection on which a statement may be sent, if it should be."""
        shared, statement = self.shared, bound.statement
        if not shared or not statement.is_shareable or statement.seconds > durations.QUICK:
            return None
        if not self._is_busy() and not any(len(each.pipeline) for each in shared):
            return None
        terms, types = self.pool.terms, connection_created.types(self.pool.alias)
        best, fewest = None, MOST
        for each in shared:
            number = len(each.pipeline)
            if (
                number < min(fewest, each.most)
                and each.terms == terms
                and types in (None, each.driver.types)
            ):
                best, fewest = each, number
        return best

    def _is_busy(self) -> bool:
        """Return whether so many connections are in use that it is worth to share some."""
        pool = self.pool.driver_pool
        return bool(pool._nconns - len(pool._pool) - len(self.shared) >= _BUSY)

    def number(self) -> int:
        """Return how many connections are to be shared."""
        return min(wanted, most_of(self.pool.driver_pool.max_size))

    def wants(self, shared: SharedConnection) -> bool:
        """Return whether a connection may go on to be shared."""
        return (
            len(self.shared) <= self.number()
            and shared.terms == self.pool.terms
            and psycopg_pools.keeps(self.pool.driver_pool, shared.driver)
        )

    def adopt(self, driver: AsyncConnection, bound: Bound) -> bool:
        """Share a connection that has executed a statement, if that is of use from now on.

        Return whether it is shared. If it is not, the caller releases it.
        """
        statement = bound.statement
        if (
            not statement.is_shareable
            or statement.seconds > durations.QUICK
            or len(self.shared) >= self.number()
            or not self._is_busy()
            # Behind a pooler, or where that is not known, nothing is prepared.
            or driver.prepared.is_off is not False
            or driver.has_handlers
            or driver.has_streamed
            or driver.pgconn.transaction_status != _IDLE
            or not psycopg_pools.keeps(self.pool.driver_pool, driver)
            or not (libpq.bind() and capabilities.has_pipeline())
        ):
            return False
        try:
            self.shared.append(SharedConnection(driver, self))
        except psycopg.Error:
            # It is lost.
            driver.end_pipeline(is_lost=True)
            return False
        return True

    def detach_idle(self) -> AsyncConnection | None:
        """Return a connection that is without a statement for some time, or ``None``."""
        for each in self.shared:
            if each.is_idle and not len(each.pipeline):
                return each.detach()
        return None

    def retire(self, shared: SharedConnection) -> None:
        """Have a connection given back when its statements are complete."""
        if shared in self.shared:
            self.shared.remove(shared)
            self.retired.add(shared)

    def forget(self, shared: SharedConnection) -> None:
        """Have a connection no more."""
        if shared in self.shared:
            self.shared.remove(shared)
        self.retired.discard(shared)

    async def close(self) -> None:
        """Give all connections back: the loop shuts down."""
        for each in [*self.shared, *self.retired]:
            await each.close()

    def close_nowait(self) -> None:
        """Forget all connections: the loop is closed, and so are they."""
        for each in [*self.shared, *self.retired]:
            each.close_nowait()
