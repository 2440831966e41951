"""What a pool of async connections has to say for monitoring: ``pool_stats()``."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS

from turbo_orm.driver.pool import loop_pools


@dataclass(frozen=True)
class PoolStats:
    """The connections of a pool, and what uses them.

    Connections that are neither ``available``, ``held`` nor ``shared`` are used by a statement, or
    being opened.
    """

    alias: str
    size: int
    max_size: int
    #: How many are free, held by tasks (idle ones are taken from these), and shared by statements
    #: of several (``TURBO_ORM["MULTIPLEX"]``).
    available: int
    held: int
    shared: int
    #: How many tasks wait for one.
    waiting: int
    #: How many attempts to connect have failed since the pool was opened.
    failed: int


def pool_stats(using: str = DEFAULT_DB_ALIAS) -> PoolStats | None:
    """Return the statistics of the running event loop's pool for a database.

    Returns ``None`` if the loop has no pool, or none yet: it is created when a task first
    connects. The server isn't queried. Raises ``RuntimeError`` if no event loop is running.
    """
    pool = loop_pools().get(using)
    if pool is None:
        return None
    stats = pool.driver_pool.get_stats()
    return PoolStats(
        alias=using,
        size=stats["pool_size"],
        max_size=stats["pool_max"],
        available=stats["pool_available"],
        held=len(pool.holders),
        shared=len(pool.multiplexer.shared) + len(pool.multiplexer.retired),
        waiting=pool.waiting,
        failed=stats.get("connections_errors", 0),
    )
