"""Transactions for async code: Django's own ``atomic``, which **direct_blocks** enters and leaves.

``atomic`` in code on the bridge nests in it, and it in that. Both keep their state on the same
connection (**task_connection**), as the ``async_atomic`` of django-async-backend does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncContextDecorator, asynccontextmanager
from typing import Any, overload

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.transaction import Atomic, TransactionManagementError
from psycopg.errors import InFailedSqlTransaction
from psycopg.pq import TransactionStatus

from turbo_orm import bridge
from turbo_orm.backend import direct_blocks
from turbo_orm.backend.connection_state import Pin, State, current_task
from turbo_orm.backend.handler import process_connection
from turbo_orm.backend.task_connections import async_connections, in_context
from turbo_orm.bridge import installation

_LOST = (
    "An earlier statement of this block has failed or was cancelled, and its exception was caught "
    "inside: the transaction is lost. Put what may fail into a savepoint, and catch outside of "
    "that: `try:`, `async with async_atomic():`, the statement, `except`."
)


class AsyncAtomic(AsyncContextDecorator):
    """A block whose statements are committed together, or not at all."""

    def __init__(self, using: str | None, savepoint: bool, durable: bool) -> None:
        self.using = using
        # The state of a block is on the connection: one object serves several blocks, and tasks.
        self._atomic = Atomic(using, savepoint, durable)

    async def __aenter__(self) -> None:
        if (thread := bridge.in_calling_thread.get()) is None:
            await direct_blocks.enter(self._atomic)
        else:
            await thread.enter(self._atomic)

    async def __aexit__(self, *exc_info: Any) -> None:
        if exc_info[1] is not None:
            self._explain(exc_info[1])
        if (thread := bridge.in_calling_thread.get()) is None:
            await direct_blocks.leave(self._atomic, *exc_info)
        else:
            await thread.leave(self._atomic, *exc_info)

    def _explain(self, error: BaseException) -> None:
        """Add a note to the error of a statement in a transaction that was lost before."""
        is_aborted = isinstance(error.__cause__, InFailedSqlTransaction) or (
            isinstance(error, TransactionManagementError)
            and connections[self.using or DEFAULT_DB_ALIAS].needs_rollback
        )
        if is_aborted and _LOST not in getattr(error, "__notes__", ()):
            error.add_note(_LOST)


@overload
def async_atomic[**P, R](using: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]: ...
@overload
def async_atomic(
    using: str | None = None, savepoint: bool = True, durable: bool = False
) -> AsyncAtomic: ...
def async_atomic(using: Any = None, savepoint: bool = True, durable: bool = False) -> Any:
    """Return a context manager and decorator that executes statements in a transaction.

    It works like Django's ``atomic``, with ``async with`` and for coroutine functions: in a
    transaction it creates a savepoint, unless ``savepoint=False``; with ``durable=True`` it raises
    ``RuntimeError`` in a transaction. Raises ``ImproperlyConfigured`` for a database without an
    async connection.

    The task keeps its connection until the end. A task that is started inside the block can't use
    the database: it raises ``TransactionManagementError``, which says what to do.
    """
    if callable(using):
        return AsyncAtomic(DEFAULT_DB_ALIAS, savepoint, durable)(using)
    return AsyncAtomic(using, savepoint, durable)


@asynccontextmanager
async def async_connection(using: str | None = None) -> AsyncIterator[Any]:
    """Use one connection for all statements of the running task in an ``async with`` block.

    Use it for things that belong to a session of the server: temporary tables, advisory locks,
    ``SET``, ``COPY``. It yields django-async-backend's connection, whose ``connection`` is
    psycopg's ``AsyncConnection``. If there is a pool, the session is reset (``DISCARD ALL``)
    before another task gets it.

    In a task that was started inside a transaction or such a block of another task, it uses a
    separate connection. Raises ``ImproperlyConfigured`` for a database without an async
    connection.
    """
    installation.require()
    connection = async_connections.own(using or DEFAULT_DB_ALIAS)
    await connection.enter_block()
    try:
        yield connection
    finally:
        connection.leave_block()


async def release_connection(using: str | None = None) -> None:
    """Return the running task's connection to the pool, or close it if there is no pool.

    Use it in a task that will wait for something else for a long time, such as a websocket. With a
    pool, an idle connection is returned automatically within a second or two. The next statement
    acquires one again.

    Raises ``TransactionManagementError`` while the connection is in use: in a transaction, an
    ``async_connection()``, an iterator or sync code called by ``run_sync()``. Raises
    ``ImproperlyConfigured`` for a database without an async connection.
    """
    installation.require()
    alias = using or DEFAULT_DB_ALIAS
    process_connection(alias)
    connection = in_context.get().get(alias)
    if alias in async_connections.shared or connection is None:
        return
    if connection.owner is current_task() and connection.connection is not None:
        if use := _use(connection):
            raise TransactionManagementError(
                f"The connection to {alias!r} is in use ({use}), and cannot be released. Await "
                "release_connection() after that."
            )
        await connection.close()


def _use(connection: Any) -> str | None:
    """Return what needs a task's connection as it is, or ``None``."""
    for pin in connection.pins:
        if not pin.is_released_by_hand:
            where = f" at {connection.block.where}" if connection.block is not None else ""
            return f"{pin}{where}"
    if connection.state is State.IN_USE:
        return "sync code"
    status = connection.connection.pgconn.transaction_status
    has_begun = status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)
    return Pin.TRANSACTION.value if has_begun or not connection.autocommit else None
