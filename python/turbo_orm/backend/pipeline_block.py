"""Blocks of ``async_pipeline()``: the tasks that are gathered in one use its one connection.

Their statements are sent in libpq's pipeline mode (**statement_pipeline**). While any is on its
way the block holds the connection's lock: code that executes by a cursor, on the bridge, waits for
it in the same queue as they do.
"""

from __future__ import annotations

import asyncio
from _thread import get_ident
from asyncio import _get_running_loop
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS
from django.db.transaction import TransactionManagementError

from turbo_orm import bridge
from turbo_orm.backend.connection_state import Pin
from turbo_orm.backend.handler import process_connection
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.bridge import installation
from turbo_orm.driver.connection import AsyncConnection
from turbo_orm.driver.statement_pipeline import SOON, StatementPipeline

# Where so many requests to cancel a statement bring no answer, the connection is lost.
_MOST_REQUESTS = 10

# The blocks, by alias, that the running code is in, or was started in.
_blocks: ContextVar[Mapping[str, PipelineBlock]] = ContextVar(
    "turbo_orm_pipeline_blocks",
    default=MappingProxyType({}),
)


@asynccontextmanager
async def async_pipeline(using: str | None = None) -> AsyncIterator[None]:
    """Let the tasks that are started in an ``async with`` block use its one connection.

    The connection is the running task's, so ``asyncio.gather()`` works in a transaction, too.
    Statements are executed in the order in which they are started. Statements with cached SQL are
    sent without waiting for the results of previous ones (with libpq of PostgreSQL 14 or later),
    so several take one round trip. Each has its own result; in a transaction, those after one that
    fails raise ``InternalError``, because the transaction is aborted. If the task of such a
    statement is cancelled, the statement is still executed, unless the block ends before. Other
    statements are cancelled on the server.

    The block waits at its end for statements in progress. No transaction and no savepoint can
    begin inside it: this raises ``TransactionManagementError``. Raises ``ImproperlyConfigured``
    for a database without an async connection.
    """
    installation.require()
    alias = using or DEFAULT_DB_ALIAS
    process_connection(alias)
    if (
        # All tasks use the connection of the thread that waits, or that of the block around.
        bridge.in_calling_thread.get() is not None
        or (connection := async_connections[alias]).pipeline is not None
    ):
        yield
        return
    await connection.enter_block(Pin.PIPELINE)
    try:
        block = PipelineBlock(connection)
        await block.begin()
        connection.pipeline = block
        _blocks.set({**_blocks.get(), alias: block})
        try:
            yield
        finally:
            connection.pipeline = None
            # Not by a token: an abandoned generator is closed in another context.
            _blocks.set({key: each for key, each in _blocks.get().items() if each is not block})
            await block.close()
    finally:
        connection.leave_block(Pin.PIPELINE)


class PipelineBlock:
    """A block of ``async_pipeline()`` on a task's connection."""

    def __init__(self, connection: Any) -> None:
        self.is_open = True
        self._connection = connection
        self._thread = get_ident()
        #: Held by the task that connects again, where the connection is lost.
        self.connecting = asyncio.Lock()
        # Statements are sent in the order in which they come here.
        self._entrance = asyncio.Lock()
        self._pipeline: StatementPipeline | None = None

    async def begin(self) -> None:
        """Ask whether a pooler is in front of the database, unless that is known.

        A task of the block that is cancelled meanwhile would abort the transaction.
        """
        driver = self._connection.connection
        if (
            self._can_send(driver)
            and driver.prepared.is_off is None
            and driver.is_ready(self._connection.timezone)
        ):
            with self._connection.wrap_database_errors:
                async with driver.lock:
                    await driver.prepared.ask_whether_off(driver)

    def is_around(self) -> bool:
        """Return whether the running code is in the block, or was started in it.

        A thread that was started in it has its context, and is not in it.
        """
        return _blocks.get().get(self._connection.alias) is self and get_ident() == self._thread

    def refuse_block(self) -> None:
        """Raise for a transaction or a savepoint that would begin inside."""
        raise TransactionManagementError(
            f"atomic() was entered inside async_pipeline() on {self._connection.alias!r}, and "
            f"needs a transaction or a savepoint: what other tasks execute meanwhile would be in "
            f"it. Enter it around the async_pipeline(), or outside of it."
        )

    async def enter(self) -> StatementPipeline | None:
        """Wait until a statement can be sent, and return what sends it.

        The caller sends it at once, and calls ``leave()``. Without a pipeline, a cursor has to
        execute it.
        """
        await self._entrance.acquire()
        pipeline = None
        try:
            pipeline = await self._enter()
        finally:
            if pipeline is None:
                self._entrance.release()
        return pipeline

    def leave(self) -> None:
        """Let the next statement in."""
        self._entrance.release()
        if self._pipeline is not None:
            # Nothing was sent if that has raised.
            self._pipeline.end()

    async def in_turn(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Await what a cursor does, behind the statements that were started before."""
        async with self._entrance:
            return await function()

    async def _enter(self) -> StatementPipeline | None:
        driver, pipeline = self._connection.connection, self._pipeline
        if not self._can_send(driver):
            return None
        if pipeline is not None and pipeline.is_open and not driver.lock.is_awaited:
            return pipeline
        await driver.lock.acquire()
        begun = None
        try:
            if self._can_send(driver) and driver.is_ready(self._connection.timezone, True):
                if opening := driver.opening():
                    await _begin(driver, opening)
                begun = await StatementPipeline.begin(driver)
        finally:
            if begun is None:
                driver.lock.release()
        self._pipeline = begun
        if begun is not None and not self.is_open:
            # The block has ended meanwhile.
            begun.end()
            return None
        return begun

    def _can_send(self, driver: Any) -> bool:
        """Return whether nothing would be missed of a cursor."""
        connection = self._connection
        return (
            self.is_open
            and type(driver) is AsyncConnection
            and driver is connection.connection
            and not driver.has_handlers
            and not connection.needs_rollback
            and not connection.is_zone_due
            and not (connection.health_check_enabled and not connection.health_check_done)
            and not connection.is_watched
        )

    async def rest(self) -> None:
        """Wait for all that was started before."""
        async with self._entrance:
            driver = self._connection.connection
            if driver is not None:
                async with driver.lock:
                    pass

    async def close(self) -> None:
        """Wait for what is on its way, and prepare what is due.

        What no task waits for is cancelled on the server. So is all where the task is cancelled.
        """
        self.is_open = False
        pipeline = self._pipeline
        if _get_running_loop() is None:
            # A coroutine that is closed can wait for nothing.
            if pipeline is not None and pipeline.is_open:
                pipeline.drop()
            return
        cancelled, requests = None, 0
        while pipeline is not None and pipeline.is_open:
            try:
                if cancelled is not None or pipeline.is_abandoned():
                    is_answered = await pipeline.cancel()
                    requests = 0 if is_answered else requests + 1
                    if requests == _MOST_REQUESTS:
                        pipeline.lose(psycopg.OperationalError("cancellation timeout"), False)
                else:
                    await pipeline.wait(SOON)
            except asyncio.CancelledError as exc:
                cancelled = exc
        # It refers to the event loop, and contexts of tasks to this.
        self._pipeline = None
        if cancelled is not None:
            raise cancelled
        await self.rest()
        driver = self._connection.connection
        if type(driver) is AsyncConnection and driver.prepared.are_due and driver.autocommit:
            async with driver.lock:
                await driver.prepared.prepare(driver)


async def _begin(driver: AsyncConnection, opening: bytes) -> None:
    """Begin the transaction before anything is sent that would be committed without it."""
    driver.require_command(await driver.exchange(opening))
