"""The pool that async code has by default: how large it is, and how it is opened.

``OPTIONS["pool"]`` is Django's: ``True`` or options of psycopg's pool have sync code use one, too.
Where it is missing, async code alone has a pool, and the threads of sync code keep connections of
their own, as long as ``CONN_MAX_AGE`` says.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

# Eight processes with ten connections each are within PostgreSQL's 100, and leave some to sync
# code. A process that has nothing to do holds none, after a while: one is closed each minute.
_SIZES = {"min_size": 0, "max_size": 10, "max_idle": 60.0}


def pool_options(settings_dict: dict[str, Any]) -> dict[str, Any] | None:
    """Return the arguments for the pool of an entry of ``DATABASES``, or ``None`` for no pool."""
    options = given_options(settings_dict, default=True)
    if options is None:
        return None
    if options.keys().isdisjoint(("min_size", "max_size")):
        options = {**_SIZES, **options}
    age = settings_dict["CONN_MAX_AGE"]
    if age != 0:
        options.setdefault("max_lifetime", float("inf") if age is None else age)
    return options


def given_options(settings_dict: dict[str, Any], default: bool = False) -> dict[str, Any] | None:
    """Return what ``OPTIONS["pool"]`` says, by which Django makes the pool of sync code."""
    given = settings_dict["OPTIONS"].get("pool", default)
    if not given:
        return None
    return {} if given is True else dict(given)


def largest_size(options: dict[str, Any] | None) -> int:
    """Return how many connections a pool may have, by psycopg's defaults; 0 if there is none."""
    if options is None:
        return 0
    smallest: int = options.get("min_size", 4)
    largest: int | None = options.get("max_size")
    return smallest if largest is None else largest


class DriverPool(AsyncConnectionPool[AsyncConnection[Any]]):
    """psycopg's pool, whose first connection is made before it opens.

    psycopg's own tries to connect in the background, and its clients get ``PoolTimeout`` in the
    end, whatever is wrong: a password, the name of the database. Here they get the error itself.
    """

    _opening: asyncio.Task[None] | None = None

    async def open(self, *args: Any, **kwargs: Any) -> None:
        """Open the pool. Those that ask meanwhile get the same answer."""
        if self.closed:
            if self._opening is None:
                loop = asyncio.get_running_loop()
                self._opening = loop.create_task(
                    self._open_with_a_connection(), name=f"{self.name}-opening", context=Context()
                )
                self._opening.add_done_callback(self._forget_opening)
            await asyncio.shield(self._opening)
        await super().open(*args, **kwargs)

    def _forget_opening(self, opening: asyncio.Task[None]) -> None:
        self._opening = None

    async def _open_with_a_connection(self) -> None:
        self._check_open()
        connection = await self._connect()
        # It is one of those that the pool would begin with.
        size = max(self._nconns, 1)
        self._nconns = size - 1
        await super().open()
        self._nconns = size
        await self._add_to_pool(connection)
