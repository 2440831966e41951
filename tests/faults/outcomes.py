"""What comes of steps in which something goes wrong: by Django, and by turbo-orm in a task.

Django's sync ORM, on a connection of its own and under the same fault, says which exception it is.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from django.db import connections

from tests.support.clients import until
from tests.support.scenario import Player, TurboPlayer, without_loop
from turbo_orm.driver.pool import loop_pools

type Steps = Callable[[Player], Coroutine[Any, Any, Any]]


def of_django(steps: Steps, alias: str) -> Any:
    """Return what steps give or raise by Django's sync ORM, and close its connection."""
    try:
        return without_loop(steps)()
    except Exception as exc:
        return told(exc)
    finally:
        connections[alias].close()


async def of_turbo(steps: Steps) -> Any:
    """Return what steps give or raise by turbo-orm, which they do in time."""
    try:
        async with asyncio.timeout(20):
            return await steps(TurboPlayer())
    except Exception as exc:
        return told(exc)


def told(exc: BaseException) -> tuple[type[BaseException], str | None]:
    """Return what a caller can tell an exception by: its type, and the server's code."""
    return type(exc), getattr(exc.__cause__, "sqlstate", None)


async def at_rest(alias: str) -> None:
    """Wait until a pool, if there is one, has all of its connections back, and nobody waits."""

    def is_at_rest() -> bool:
        stats = driver_pool.get_stats()
        return stats["pool_available"] == stats["pool_size"] <= stats["pool_max"]

    driver_pool = loop_pools().driver_pools.get(alias)
    if driver_pool is not None:
        await until(is_at_rest)
        pool = loop_pools().pool(alias, driver_pool)
        assert (pool.waiting, pool.holders) == (0, {})
