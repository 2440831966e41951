"""Those who wait for a connection of a pool, each in turn.

A connection that comes back goes straight to whoever has waited longest. psycopg's pool has every
client wait with a lock, a condition and a task of its own, which costs more than the statement.
What it alone knows of, a connection that is new, is got from it by one client that stands for all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from typing import Any

import psycopg


class Turns:
    """The queue at a pool of psycopg's."""

    def __init__(self, driver_pool: Any) -> None:
        self._driver_pool = driver_pool
        self._waiting: deque[asyncio.Future[Any]] = deque()
        # Asks psycopg's pool while somebody waits here, so that it grows.
        self.scout: asyncio.Task[None] | None = None

    def is_waited(self) -> bool:
        """Return whether somebody waits, whom nobody may overtake."""
        waiting = self._waiting
        while waiting and waiting[0].done():
            waiting.popleft()
        return bool(waiting)

    def join(self) -> asyncio.Future[Any]:
        """Return one's turn: a connection, or psycopg's ``PoolTimeout`` if none comes in time."""
        from psycopg_pool import TooManyRequests

        driver_pool = self._driver_pool
        if driver_pool.max_waiting and len(self._waiting) >= driver_pool.max_waiting:
            raise TooManyRequests(
                f"the pool {driver_pool.name!r} has already {len(self._waiting)} requests waiting"
            )
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(driver_pool.timeout, self._expire, turn)
        turn.add_done_callback(lambda turn: timer.cancel())
        if self.scout is None:
            self.scout = loop.create_task(
                self._look_out(), name="turbo_orm-scout", context=Context()
            )
        return turn

    def give(self, connection: Any) -> bool:
        """Give a connection to who is next. Return whether there was anybody."""
        if not self.is_waited():
            return False
        self._waiting.popleft().set_result(connection)
        return True

    def _expire(self, turn: asyncio.Future[Any]) -> None:
        from psycopg_pool import PoolTimeout

        if not turn.done():
            timeout = self._driver_pool.timeout
            turn.set_exception(PoolTimeout(f"couldn't get a connection after {timeout:.2f} sec"))

    async def _look_out(self) -> None:
        from psycopg_pool import PoolTimeout

        try:
            while self.is_waited():
                try:
                    connection = await self._driver_pool.getconn()
                except PoolTimeout:
                    continue
                if not self.give(connection):
                    await self._driver_pool.putconn(connection)
        except psycopg.Error as exc:
            # The pool is closed.
            while self.is_waited():
                self._waiting.popleft().set_exception(exc)
        finally:
            self.scout = None
