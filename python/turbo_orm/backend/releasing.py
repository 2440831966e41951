"""How a task leaves its driver connection: to the pool, as it was before the task, or closed."""

from __future__ import annotations

from typing import Any

from psycopg.pq import TransactionStatus


async def release(connection: Any, driver: Any, source: Any, is_dirty: bool) -> None:
    """Put back a driver connection that a task's connection has had from a pool, or close it."""
    if source is None:
        await driver.close()
        return
    if is_dirty and not driver.closed:
        try:
            await _reset(connection, driver)
        except Exception:
            await driver.close()
    try:
        await source.release_from(connection, driver)
    except BaseException:
        # The loop shuts down meanwhile, and cancels this.
        await driver.close()
        raise


async def _reset(connection: Any, driver: Any) -> None:
    """Have a session be as it was at its beginning, as far as the server can do that."""
    if driver.info.transaction_status != TransactionStatus.IDLE:
        # The task has ended within a transaction.
        await driver.rollback()
    await driver.set_autocommit(True)
    await driver.execute("DISCARD ALL", prepare=False)
    driver.prepared.forget()
    await connection._configure_connection(driver)


def give_up_transaction(connection: Any) -> None:
    """See to a connection whose COMMIT or ROLLBACK was cancelled: the transaction ends with it.

    Django closes a connection where an ``Error`` is raised, which a cancellation is not.
    """
    # The next transaction must not call them.
    connection.run_on_commit = []
    if connection.connection.info.transaction_status != TransactionStatus.IDLE:
        connection.put_back()
        # Django would connect again in order to set autocommit.
        connection.closed_in_transaction = True
