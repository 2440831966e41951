"""What is done to a pool of psycopg's: how it connects, and how it is closed with its loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from logging import LogRecord, getLogger
from random import uniform
from time import monotonic
from typing import Any

import psycopg

from turbo_orm.driver.connection import AsyncConnection

_logger = getLogger("psycopg.pool")


def _is_no_cancellation(record: LogRecord) -> bool:
    """Return whether a record says more than that a pool was closed while it connected."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(isinstance(each, asyncio.CancelledError) for each in arguments)


def prepare(driver_pool: Any) -> None:
    """Have a pool open turbo-orm's connections, and connect soon where that has failed."""
    # The second time, it is there already.
    _logger.addFilter(_is_no_cancellation)
    if driver_pool.connection_class is psycopg.AsyncConnection:
        driver_pool.connection_class = AsyncConnection
    # Between two connections that fail this it waits for a second, then two, then four. The
    # one that is acquired is checked (``Pool``), and the next one is tried at once.
    if driver_pool._check is type(driver_pool).check_connection:
        driver_pool._check = None
    schedule_task = driver_pool.schedule_task

    async def schedule_task_soon(task: Any, delay: float) -> None:
        """Have the pool do something later, but connect within a second.

        Its delays double up to minutes: it would go on waiting when the server is back. At random,
        so that not all processes connect at once.
        """
        if type(task).__name__ == "AddConnection":
            delay = min(delay, uniform(0.5, 1))
        await schedule_task(task, delay)

    driver_pool.schedule_task = schedule_task_soon


def keeps(driver_pool: Any, connection: Any) -> bool:
    """Return whether a pool is open, and would not replace a connection by its age."""
    return bool(
        connection._expire_at > monotonic()
        # Before 3.3, psycopg_pool cannot be drained.
        and getattr(connection, "_created_at", 1) > getattr(driver_pool, "_drained_at", 0)
        and not driver_pool._closed
    )


async def close(driver_pool: Any) -> None:
    """Close a pool whose workers are cancelled: its ``close()`` stops halfway then."""
    connections = []
    with suppress(psycopg.Error):
        for _ in range(driver_pool.get_stats()["pool_available"]):
            connections.append(await driver_pool.getconn(timeout=0.1))
    with suppress(asyncio.CancelledError):
        await driver_pool.close()
    for connection in connections:
        await connection.close()


async def retire(pool: Any) -> None:
    """Close the connections of a pool: those that are in use, when they are given back."""
    await pool.multiplexer.close()
    await pool.driver_pool.close()


def close_nowait(driver_pool: Any) -> list[asyncio.Task[Any] | None]:
    """Close a pool whose loop does not run any more, and return the tasks that it has left."""
    tasks = [*driver_pool._workers, driver_pool._sched_runner]
    driver_pool._closed = True
    driver_pool._workers.clear()
    driver_pool._sched_runner = None
    return tasks
