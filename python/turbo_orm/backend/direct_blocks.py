"""Blocks of ``async_atomic()`` that are entered and left without the bridge.

To enter the outermost block takes no statement, since BEGIN goes with the first one, and to leave
it takes COMMIT. Where nothing would be missed, both are done here, with the state that Django's
``Atomic`` keeps on the connection; whatever logs, replaces or complicates them is Django's, on the
bridge. So is every block that ends with an exception, and every savepoint.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.transaction import Atomic
from psycopg import generators
from psycopg.pq import ExecStatus, TransactionStatus

from turbo_orm.backend import instrumentation
from turbo_orm.backend.connection_state import current_task
from turbo_orm.backend.releasing import give_up_transaction
from turbo_orm.backend.task_connections import async_connections, in_context
from turbo_orm.bridge import installation

_DJANGOS = Atomic.__enter__, Atomic.__exit__
_IDLE = TransactionStatus.IDLE
_IN_TRANSACTION = TransactionStatus.INTRANS


def enter(atomic: Any) -> bool:
    """Enter an outermost block on the running task's connection. Return whether that was done."""
    connection = _connection(atomic)
    if (
        connection is None
        or connection.pins
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


async def leave(atomic: Any) -> bool:
    """Commit and leave an outermost block. Return whether that was done.

    Where it was not, the block is as it was. What COMMIT raises is raised; then, too, the block
    has to be left, with the exception.
    """
    connection = _connection(atomic)
    if (
        connection is None
        or connection.savepoint_ids
        or connection.run_on_commit
        or connection.closed_in_transaction
        or not connection.commit_on_exit
        or connection.atomic_blocks != [atomic]
        or (driver := connection.acquire_nowait()) is None
    ):
        return False
    try:
        status = driver.pgconn.transaction_status
        if status == _IN_TRANSACTION:
            await _commit(connection, driver)
        elif status != _IDLE:
            return False
        connection.atomic_blocks.pop()
        connection.errors_occurred = False
        driver._autocommit = connection.autocommit = True
        connection.in_atomic_block = False
        return True
    finally:
        connection.release(driver)


async def _commit(connection: Any, driver: Any) -> None:
    try:
        with connection.wrap_database_errors:
            await driver.lock.acquire()
            try:
                driver.pgconn.send_query(b"COMMIT")
                (result,) = await driver.wait(generators.execute(driver.pgconn))
            finally:
                driver.lock.release()
            if result.status != ExecStatus.COMMAND_OK:
                driver.cursor_factory(driver)._check_results([result])
    except CancelledError:
        give_up_transaction(connection)
        raise


def _connection(atomic: Any) -> Any:
    """Return the running task's connection, if Django's block would miss nothing."""
    alias = atomic.using or DEFAULT_DB_ALIAS
    connection = in_context.get().get(alias)
    if (
        connection is None
        or connection.connection is None
        or connection.owner is not current_task()
        or settings.DEBUG
        or (instrumentation.found != "" and instrumentation.replaced_method())
        or not installation.is_installed
        or alias in async_connections.shared
        or (Atomic.__enter__, Atomic.__exit__) != _DJANGOS
    ):
        return None
    return connection
