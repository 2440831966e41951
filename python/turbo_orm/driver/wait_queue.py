"""Tasks that wait for a connection, first come, first served.

``WaitQueue`` is the queue alone, for a connection that tasks use one after the other
(turbo_orm.backend.shared_connection). In a ``TimedQueue`` none waits for ever. ``PoolQueue`` is
the one at a pool: a connection that is released goes straight to the task that has waited longest.
psycopg's pool has every client wait with a lock, a condition and a task of its own, which costs
more than the statement. Only psycopg's pool makes new connections: one client of it, on behalf of
all that wait here, requests them.
"""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any

import psycopg


class WaitQueue:
    """Futures of those that wait."""

    def __init__(self) -> None:
        self._waiters: deque[asyncio.Future[Any]] = deque()

    def is_waited(self) -> bool:
        """Return whether there are waiters, which no other client may overtake."""
        waiters = self._waiters
        while waiters and waiters[0].done():
            waiters.popleft()
        return bool(waiters)

    def enqueue(self) -> asyncio.Future[Any]:
        """Return a future of the running event loop, whose result ``hand_over()`` sets."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return waiter

    def hand_over(self, value: Any) -> bool:
        """Set the result of the first waiter. Return whether there was one.

        The waiter may be of another thread's event loop. One whose loop is closed is skipped.
        """
        while self.is_waited():
            waiter = self._waiters.popleft()
            loop = waiter.get_loop()
            if loop is _get_running_loop():
                waiter.set_result(value)
                return True
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._hand_over_to, waiter, value)
                return True
        return False

    def _hand_over_to(self, waiter: asyncio.Future[Any], value: Any) -> None:
        if waiter.done():
            self.hand_over(value)
        else:
            waiter.set_result(value)


class TimedQueue(WaitQueue):
    """A queue of an event loop in which all wait for about as long at most."""

    def __init__(self) -> None:
        super().__init__()
        # When each waiter has waited long enough, in the loop's time, and the timer of the first:
        # one for each would be made and cancelled for most statements of a busy server.
        self._deadlines: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def enqueue_for(self, seconds: float) -> asyncio.Future[Any]:
        """Return a future that ``hand_over()`` sets, or ``expire()`` after so many seconds."""
        waiter = self.enqueue()
        loop = waiter.get_loop()
        self._forget_done()
        self._deadlines.append((loop.time() + seconds, waiter))
        if self._timer is None:
            self._timer = loop.call_at(self._deadlines[0][0], self._expire)
        return waiter

    def expire(self, waiter: asyncio.Future[Any]) -> None:
        """End the waiting of one that has waited long enough."""
        raise NotImplementedError

    def _forget_done(self) -> None:
        deadlines = self._deadlines
        while deadlines and deadlines[0][1].done():
            deadlines.popleft()

    def _expire(self) -> None:
        """Expire those that have waited long enough, and set the timer for the next."""
        self._timer = None
        self._forget_done()
        loop = asyncio.get_running_loop()
        while self._deadlines:
            deadline, waiter = self._deadlines[0]
            if deadline > loop.time():
                self._timer = loop.call_at(deadline, self._expire)
                return
            self.expire(waiter)
            self._forget_done()


class PoolQueue(TimedQueue):
    """The queue at a pool of psycopg's, in its event loop."""

    def __init__(self, driver_pool: Any, usage: Callable[[], str]) -> None:
        super().__init__()
        self._driver_pool = driver_pool
        # Returns what the error says of the pool.
        self._usage = usage
        # Requests connections of psycopg's pool while tasks wait here, so that it grows.
        self.requester: asyncio.Task[None] | None = None

    def enqueue_for_connection(self) -> asyncio.Future[Any]:
        """Return a future connection, or psycopg's ``PoolTimeout`` if none comes in time."""
        from psycopg_pool import TooManyRequests

        driver_pool = self._driver_pool
        if driver_pool.max_waiting and len(self._waiters) >= driver_pool.max_waiting:
            raise TooManyRequests(
                f"the pool {driver_pool.name!r} has already {len(self._waiters)} requests "
                f"waiting: {self._usage()}"
            )
        waiter = self.enqueue_for(driver_pool.timeout)
        if self.requester is None:
            self.requester = waiter.get_loop().create_task(
                self._request(), name="turbo_orm-requester", context=Context()
            )
        return waiter

    def expire(self, waiter: asyncio.Future[Any]) -> None:
        from psycopg_pool import PoolTimeout

        waiter.set_exception(
            PoolTimeout(
                f"couldn't get a connection after {self._driver_pool.timeout:.2f} sec: "
                f"{self._usage()}"
            )
        )

    async def _request(self) -> None:
        from psycopg_pool import PoolTimeout

        try:
            while self.is_waited():
                try:
                    connection = await self._driver_pool.getconn()
                except PoolTimeout:
                    continue
                if not self.hand_over(connection):
                    await self._driver_pool.putconn(connection)
        except psycopg.Error as exc:
            # The pool is closed.
            while self.is_waited():
                self._waiters.popleft().set_exception(exc)
        finally:
            self.requester = None
