"""The pool that a database's connections are acquired from, one for each event loop.

The pool itself is psycopg's, made by django-async-backend of ``OPTIONS["pool"]``. What is added
here is who holds its connections. A connection stays with its holder, the wrapper of a task, while
no other task waits for one; a task that has none takes it from a holder whose connection is idle.
As in Django, each time that a wrapper gets a connection, receivers of ``connection_created`` are
called, and its health is checked where that is on: both may query, so a task that executes one
statement after another keeps its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import Context
from operator import itemgetter
from time import monotonic
from types import SimpleNamespace
from typing import Any, Protocol
from weakref import WeakSet

import psycopg
from django.db.utils import DatabaseErrorWrapper
from django_async_backend.db.backends.base.base import RAN_DB_VERSION_CHECK
from psycopg.pq import TransactionStatus

from turbo_orm.driver import connection_created, loop_closing, psycopg_pools
from turbo_orm.driver.admission import Admission
from turbo_orm.driver.connection import AsyncConnection
from turbo_orm.driver.idle_release import IdleRelease
from turbo_orm.driver.multiplexing import Multiplexer
from turbo_orm.driver.terms import Terms, entry
from turbo_orm.driver.wait_queue import PoolQueue

# So many holders are named by an error, those that have been so for the longest time.
_NAMED = 10


class Holder(Protocol):
    """The wrapper of a task that has a connection of the pool."""

    def is_idle(self) -> bool:
        """Return whether the pool may take the connection for another task."""
        ...

    def detach(self) -> Any:
        """Return the connection, and have none any more."""
        ...

    def description(self, since: float) -> str:
        """Return who holds the connection since a time, and for what."""
        ...


class Pool:
    """A pool of psycopg's, and the holders of its connections.

    ``acquire_for()`` and ``release_from()`` are for a holder, which keeps the connection;
    ``acquire_nowait()``, ``acquire()`` and ``release()`` are for one statement.
    """

    pipeline = None  # What a task's connection has in a block of async_pipeline().

    def __init__(self, driver_pool: Any, alias: str, admission: Admission) -> None:
        self.driver_pool = driver_pool
        self.alias, self.entry = alias, entry(alias)
        self._admission = admission
        psycopg_pools.prepare(driver_pool)
        self.queue = PoolQueue(driver_pool, self.usage)
        # With the time since when they are.
        self.holders: dict[Holder, float] = {}
        self._idle_release = IdleRelease(self)
        # A connection that is released goes here and to psycopg's waiting clients by turns.
        self._is_psycopgs_turn = False
        # What a connection has to be like for a statement. The first holder that connects sets it.
        self.terms: Terms | None = None
        # Tasks that wait: while there are any, holders keep no idle one. How many were given back.
        self.waiting = self.released = 0
        self.multiplexer = Multiplexer(self)

    async def acquire_for(self, holder: Holder, is_checked: bool = False) -> Any:
        """Return a connection: a free one, an idle one of another holder, or a new one.

        With ``is_checked`` it has answered a check. One that has not is replaced.
        Raises psycopg's ``PoolTimeout`` if there is none in time.
        """
        if self.driver_pool.closed:
            await self.driver_pool.open()
        connection = None
        if not self.driver_pool.get_stats()["pool_available"]:
            connection = self.detach_idle()
            while connection is not None and not await self._is_usable(connection, is_checked):
                connection = self.detach_idle()
        if connection is None:
            connection = await self._getconn(self.driver_pool.timeout)
            deadline = monotonic() + self.driver_pool.timeout
            while not await self._is_usable(connection, is_checked):
                connection = await self._getconn(deadline - monotonic())
        self.holders[holder] = monotonic()
        self._idle_release.start()
        return connection

    async def _getconn(self, seconds: float) -> Any:
        self.waiting += 1
        try:
            return await self.driver_pool.getconn(timeout=seconds)
        except psycopg.OperationalError as exc:
            raise type(exc)(f"{exc}: {self.usage()}") from exc.__cause__
        finally:
            self.waiting -= 1
            self._admission.let_in()

    def detach_idle(self) -> Any:
        """Return an idle connection, which its holder has no more, or ``None``."""
        for holder in self.holders:
            if holder.is_idle():
                del self.holders[holder]
                return holder.detach()
        return self.multiplexer.detach_idle()

    async def _is_usable(self, connection: Any, is_checked: bool) -> bool:
        """Return whether a connection has not ended, and answers. If not, the pool replaces it."""
        if getattr(connection, "has_ended", False):
            connection.finish()
            await self.driver_pool.putconn(connection)
            return False
        if not is_checked:
            return True
        try:
            await self.driver_pool.check_connection(connection)
        except BaseException as exc:
            await self.driver_pool.putconn(connection)
            if not isinstance(exc, Exception):
                raise
            return False
        return True

    async def release_from(self, holder: Holder, connection: Any) -> None:
        """Put a connection back. A broken one is replaced."""
        self.released += 1
        self.holders.pop(holder, None)
        if not (self._is_good(connection) and self.queue.hand_over(connection)):
            await self.driver_pool.putconn(connection)

    def usage(self) -> str:
        """Return how many connections there are, how many tasks wait, and who holds what."""
        stats = self.driver_pool.get_stats()
        size, free = stats["pool_size"], stats["pool_available"]
        held = len(self.holders)
        shared = len(self.multiplexer.shared) + len(self.multiplexer.retired)
        parts = [
            f"the pool of {self.alias!r} has {size} of at most {stats['pool_max']} connections",
            f"{free} are free, {held} held by tasks, "
            + f"{shared} shared by statements, " * bool(shared)
            + f"{max(0, size - free - held - shared)} used by single statements or not opened yet",
            f"tasks that wait: {self.waiting}",
        ]
        if failed := stats.get("connections_errors"):
            parts.append(f"{failed} attempts to connect have failed")
        if held:
            named = sorted(self.holders.items(), key=itemgetter(1))[:_NAMED]
            names = ", ".join(holder.description(since) for holder, since in named)
            more = f" and {held - _NAMED} more" if held > _NAMED else ""
            parts.append(f"it is held by {names}{more}")
        return "; ".join(parts)

    # For a statement, without a holder (turbo_orm.execution.direct)

    # There is no wrapper on which to note that errors have occurred.
    wrap_database_errors: Any = DatabaseErrorWrapper(SimpleNamespace(Database=psycopg))

    def serves_statements(self) -> bool:
        """Return whether nothing has to be done with a connection before it is used."""
        is_stale = self.entry is not entry(self.alias)
        if self.terms is None or is_stale or connection_created.want_each_connection():
            return False
        wanted = self.terms.settings_dict
        return (
            self.terms.alias in RAN_DB_VERSION_CHECK
            and wanted["AUTOCOMMIT"]
            and not wanted["CONN_HEALTH_CHECKS"]
        )

    def acquire_nowait(self) -> AsyncConnection | None:
        """Return a connection that is free, or an idle one of a holder, or ``None``.

        As psycopg's ``getconn()`` would. That takes 12 µs with ``putconn()``, this takes 2.
        """
        driver_pool = self.driver_pool
        free = driver_pool._pool
        if self.queue.is_waited() or driver_pool._lock.locked():
            return None
        if not free:
            connection = self.detach_idle()
            return None if connection is None else self._fit(connection)
        driver_pool._stats["requests_num"] += 1
        connection = free.popleft()
        driver_pool._nconns_min = min(driver_pool._nconns_min, len(free))
        # psycopg does so, too, while the connection is in use. Otherwise it would be a cycle.
        connection._pool = driver_pool
        return self._fit(connection)

    async def acquire(self) -> AsyncConnection | None:
        """Wait for a connection. Return ``None`` if one is free, but not ready for a statement.

        Raises psycopg's ``PoolTimeout`` if there is none in time.
        """
        if self.driver_pool._pool and not self.queue.is_waited():
            return None
        turn = self.queue.enqueue_for_connection()
        self.waiting += 1
        try:
            return self._fit(await turn)
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:
                self.release(turn.result())
            raise
        finally:
            self.waiting -= 1
            self._admission.let_in()

    def _fit(self, connection: Any) -> AsyncConnection | None:
        """Return a connection if it is as Django's settings have it, or release it."""
        terms = self.terms
        if (
            terms is not None
            and type(connection) is AsyncConnection
            and connection.autocommit
            and connection.is_ready(terms.timezone)
            and (
                not terms.timezone_name
                or connection.pgconn.parameter_status(b"TimeZone") == terms.timezone_name
            )
            and connection_created.types(terms.alias) in (None, connection.types)
        ):
            return connection
        if getattr(connection, "has_ended", False):
            connection.finish()
        # The cursor path acquires it next, and sets it up.
        self.release(connection, is_next=True)
        return None

    def release(self, connection: Any, is_next: bool = False) -> None:
        """Put a connection back, or hand it over to a task that waits.

        Those that wait here and psycopg's own waiting clients get one by turns. With ``is_next``
        it is the next one to be acquired.
        """
        self.released += 1
        driver_pool = self.driver_pool
        if self._is_good(connection):
            others = len(driver_pool._waiting) - (self.queue.requester is not None)
            self._is_psycopgs_turn = others > 0 and not self._is_psycopgs_turn
            if not self._is_psycopgs_turn and self.queue.hand_over(connection):
                return
            if not driver_pool._waiting and not driver_pool._lock.locked():
                connection._pool = None
                if is_next:
                    driver_pool._pool.appendleft(connection)
                else:
                    driver_pool._pool.append(connection)
                return
        soon(driver_pool.putconn(connection))

    def _is_good(self, connection: Any) -> bool:
        """Return whether psycopg's pool would keep a connection without resetting it."""
        driver_pool = self.driver_pool
        return bool(
            connection.pgconn.transaction_status == TransactionStatus.IDLE
            and psycopg_pools.keeps(driver_pool, connection)
            and driver_pool._reset is None
            and driver_pool._pool_full_event is None
        )


class LoopPools:
    """The pools of an event loop, by alias. They are closed when the loop shuts down."""

    def __init__(self) -> None:
        # django-async-backend keeps psycopg's pools here.
        self.driver_pools: dict[str, Any] = {}
        self._pools: dict[str, Pool] = {}
        self.admission = Admission(self._waiting, self._timeout)
        self._keeper: asyncio.Task[None] | None = None
        self._in_background: set[asyncio.Task[None]] = set()
        loop_closing.of_running_loop().before.append(self._drop)

    def pool(self, alias: str, driver_pool: Any) -> Pool:
        """Return the pool around one of psycopg's."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(
                self._close_with_the_loop(), name="turbo_orm-pools", context=Context()
            )
        pool = self._pools.get(alias)
        if pool is None or pool.driver_pool is not driver_pool:
            pool = self._pools[alias] = Pool(driver_pool, alias, self.admission)
        return pool

    def get(self, alias: str) -> Pool | None:
        """Return the pool of an alias that was used already, if it is open."""
        pool = self._pools.get(alias)
        return None if pool is None or pool.driver_pool._closed else pool

    def drop_stale(self, alias: str) -> bool:
        """Close a pool whose alias is another database's by now. Return whether there was one."""
        pool = self._pools.get(alias)
        is_stale = pool is not None and pool.entry is not entry(alias)
        if pool is not None and is_stale:
            del self._pools[alias], self.driver_pools[alias]
            self.run_in_background(psycopg_pools.retire(pool))
        return is_stale

    def _waiting(self) -> int:
        """Return how many tasks wait, but for those at pools that refuse what is too much."""
        return sum(
            pool.waiting for pool in self._pools.values() if not pool.driver_pool.max_waiting
        )

    def _timeout(self) -> float:
        return max(float(pool.driver_pool.timeout) for pool in self._pools.values())

    def forget_terms(self) -> None:
        """Have the next holder that connects set what a connection has to be like."""
        for pool in self._pools.values():
            pool.terms = None

    async def _close_with_the_loop(self) -> None:
        """Wait for the loop to shut down: it cancels its tasks then.

        A worker of psycopg's that is cancelled while it connects goes on working: only closing
        the pool ends it, for which the loop would wait forever.
        """
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            while self.driver_pools:
                await psycopg_pools.close(self.driver_pools.popitem()[1])
            for pool in self._pools.values():
                await pool.multiplexer.close()
            # They refer to the loop, which could not be collected.
            self._pools.clear()
            self._keeper = None

    def run_in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as far as it goes without waiting, and the rest of it in a task."""
        task = asyncio.Task(coroutine, loop=asyncio.get_running_loop(), eager_start=True)
        if not task.done():
            self._in_background.add(task)
            task.add_done_callback(self._in_background.discard)

    def _drop(self) -> None:
        """End all tasks without waiting: the loop is closed. So are the connections, then."""
        tasks = {self._keeper, *self._in_background}
        for pool in self._pools.values():
            pool.multiplexer.close_nowait()
            tasks |= {pool.queue.requester, *psycopg_pools.close_nowait(pool.driver_pool)}
        self.driver_pools.clear()
        self._pools.clear()
        for task in tasks:
            if task is not None and not task.done():
                loop_closing.drop(task)


_NAME = "turbo_orm_pools"
_all: WeakSet[LoopPools] = WeakSet()


def loop_pools() -> LoopPools:
    """Return the pools of the running event loop. Raise ``RuntimeError`` if there is none."""
    loop = asyncio.get_running_loop()
    found: LoopPools | None = getattr(loop, _NAME, None)
    if found is None:
        found = LoopPools()
        # They refer to the loop. Kept by it, they go with it.
        setattr(loop, _NAME, found)
        _all.add(found)
    return found


def soon(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine as far as it goes without waiting, and the rest of it in a task.

    Where no event loop runs any more, the rest is not run.
    """
    try:
        pools = loop_pools()
    except RuntimeError:
        with suppress(StopIteration):
            coroutine.send(None)
        coroutine.close()
    else:
        pools.run_in_background(coroutine)


def forget_terms(*, setting: str, **kwargs: Any) -> None:
    """Receive ``setting_changed``: ask anew what the settings want of a connection."""
    if setting in {"DATABASES", "TIME_ZONE", "USE_TZ"}:
        for pools in list(_all):
            pools.forget_terms()
