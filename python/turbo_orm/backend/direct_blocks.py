"""Blocks of ``async_atomic()`` that are entered and left without the bridge.

To enter the outermost block takes no statement, since BEGIN goes with the first one, and to leave
it takes COMMIT or ROLLBACK; one inside another is a savepoint. Where nothing would be missed, this
is done here, with the state that Django's ``Atomic`` keeps on the connection, so that blocks of
both kinds nest. Whatever logs, replaces or complicates it is Django's, on the bridge.
"""

from __future__ import annotations

from _thread import get_ident
from asyncio import CancelledError
from types import TracebackType
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.transaction import Atomic
from psycopg.pq import TransactionStatus

from turbo_orm import bridge
from turbo_orm.backend import instrumentation
from turbo_orm.backend.connection_state import current_task
from turbo_orm.backend.releasing import give_up_transaction
from turbo_orm.backend.task_connections import async_connections, in_context
from turbo_orm.bridge import installation

_DJANGOS = Atomic.__enter__, Atomic.__exit__
_IDLE = TransactionStatus.IDLE
_IN_TRANSACTION = TransactionStatus.INTRANS
_IN_ERROR = TransactionStatus.INERROR


async def enter(atomic: Any) -> None:
    """Enter a block on the running task's connection."""
    connection = _connection(atomic)
    if connection is not None:
        if connection.in_atomic_block:
            if await _enter_inner(atomic, connection):
                return
        elif _enter_outermost(atomic, connection):
            return
    await bridge.run(atomic.__enter__)


async def leave(
    atomic: Any,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
) -> None:
    """Leave a block, with the exception that has ended it or without.

    An exception of the statement that ends it ends the block, too.
    """
    connection = _connection(atomic)
    try:
        is_left = connection is not None and await _leave(atomic, connection, error)
    except BaseException as exc:
        await bridge.run(atomic.__exit__, type(exc), exc, exc.__traceback__)
        raise
    if not is_left:
        await bridge.run(atomic.__exit__, kind, error, traceback)
    elif not connection.in_atomic_block:
        if connection.run_on_commit:
            await bridge.run(_call_hooks, connection)
        driver = connection.connection
        if (
            driver is not None
            and driver.prepared.are_due
            and connection.acquire_nowait() is not None
        ):
            await _prepare(connection, driver)


def _enter_outermost(atomic: Any, connection: Any) -> bool:
    """Begin a transaction with the next statement. Return whether that was done."""
    if (
        connection.pins
        or not connection.autocommit
        or (driver := connection.acquire_nowait()) is None
    ):
        return False
    is_ready: bool = driver._autocommit and driver.pgconn.transaction_status == _IDLE
    if is_ready:
        connection.commit_on_exit = True
        connection.needs_rollback = False
        driver._autocommit = connection.autocommit = False
        connection.in_atomic_block = True
        connection.atomic_blocks.append(atomic)
    connection.release(driver)
    return is_ready


async def _enter_inner(atomic: Any, connection: Any) -> bool:
    """Make a savepoint, if the block wants one. Return whether the block was entered."""
    name = None
    if atomic.durable:
        return False
    if atomic.savepoint:
        if (driver := connection.acquire_nowait()) is None:
            return False
        try:
            status = driver.pgconn.transaction_status
            if driver._autocommit or status not in (_IDLE, _IN_TRANSACTION):
                return False
            connection.savepoint_state += 1
            # As Django names them.
            name = "s%s_x%d" % (get_ident(), connection.savepoint_state)  # noqa: UP031
            await _send(connection, driver, driver.opening() + b'SAVEPOINT "%s"' % name.encode())
        finally:
            connection.release(driver)
    connection.savepoint_ids.append(name)
    connection.atomic_blocks.append(atomic)
    return True


async def _leave(atomic: Any, connection: Any, error: BaseException | None) -> bool:
    """Leave a block. Return whether that was done: if not, the block is as it was."""
    if (
        connection.closed_in_transaction
        or connection.run_commit_hooks_on_set_autocommit_on
        or not connection.commit_on_exit
        or connection.atomic_blocks[-1:] != [atomic]
        # Nothing can be awaited where the coroutine is closed, which the bridge knows how to end.
        or isinstance(error, GeneratorExit)
    ):
        return False
    savepoints = connection.savepoint_ids
    if savepoints and savepoints[-1] is None:
        if error is not None:
            connection.needs_rollback = True
    else:
        if error is not None:
            # Set anew by a block around it, if it was one without a savepoint that has failed.
            connection.needs_rollback = False
        if (driver := connection.acquire_nowait()) is None:
            return False
        try:
            end = _end_of_savepoint if savepoints else _end_of_transaction
            if not await end(connection, driver, error):
                return False
        finally:
            connection.release(driver)
    if savepoints:
        savepoints.pop()
    connection.atomic_blocks.pop()
    return True


async def _end_of_savepoint(connection: Any, driver: Any, error: BaseException | None) -> bool:
    status, savepoint = driver.pgconn.transaction_status, connection.savepoint_ids[-1]
    name = b'"%s"' % savepoint.encode()
    if error is None and status == _IN_TRANSACTION:
        await _send(connection, driver, b"RELEASE SAVEPOINT " + name)
    elif error is not None and status in (_IN_TRANSACTION, _IN_ERROR):
        rollback = b"ROLLBACK TO SAVEPOINT %b;RELEASE SAVEPOINT %b" % (name, name)
        try:
            await _send(connection, driver, rollback)
        except Error:
            return False
        connection.run_on_commit = [
            hook for hook in connection.run_on_commit if savepoint not in hook[0]
        ]
    else:
        return False
    return True


async def _end_of_transaction(connection: Any, driver: Any, error: BaseException | None) -> bool:
    """Commit or roll back, and go back to autocommit. Without a transaction, nothing is sent."""
    status = driver.pgconn.transaction_status
    if status != _IDLE:
        try:
            if error is None and status == _IN_TRANSACTION:
                await _send(connection, driver, b"COMMIT")
            elif error is not None and status in (_IN_TRANSACTION, _IN_ERROR):
                await _send(connection, driver, b"ROLLBACK")
            else:
                return False
        except CancelledError:
            give_up_transaction(connection)
            raise
        except Error:
            if error is None:
                raise
            return False
    if error is not None:
        connection.run_on_commit = []
    connection.errors_occurred = False
    driver._autocommit = connection.autocommit = True
    connection.in_atomic_block = False
    return True


async def _send(connection: Any, driver: Any, commands: bytes) -> None:
    with connection.wrap_database_errors:
        driver.require_command(await driver.exchange_in_turn(commands))


async def _prepare(connection: Any, driver: Any) -> None:
    """Prepare what has become due in the transaction."""
    try:
        async with driver.lock:
            await driver.prepared.prepare(driver)
    finally:
        connection.release(driver)


def _call_hooks(connection: Any) -> None:
    """Call the functions of ``on_commit()``, after the commit. Runs on the bridge."""
    connection.run_commit_hooks_on_set_autocommit_on = True
    connections[connection.alias].run_and_clear_commit_hooks()
    connection.run_commit_hooks_on_set_autocommit_on = False


def _connection(atomic: Any) -> Any:
    """Return the running task's connection, if Django's block would miss nothing."""
    alias = atomic.using or DEFAULT_DB_ALIAS
    connection = in_context.get().get(alias)
    if (
        connection is None
        or connection.connection is None
        or connection.owner is not current_task()
        or connection.pipeline is not None
        or settings.DEBUG
        or (instrumentation.found != "" and instrumentation.replaced_method())
        or not installation.is_installed
        or alias in async_connections.shared
        or (Atomic.__enter__, Atomic.__exit__) != _DJANGOS
    ):
        return None
    return connection
