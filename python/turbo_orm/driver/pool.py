"""The pool that a database's connections are borrowed from, one for each event loop.

The pool itself is psycopg's, made by django-async-backend of ``OPTIONS["pool"]``. What is added
here is who holds its connections. A connection stays with its borrower for as long as nobody
waits for one; a borrower that has none takes it away from one that does nothing with it. The way
to the pool and back takes 7 µs of 440 for an ``aget()``. But whoever gets a connection has
receivers of ``connection_created`` called, as in Django, and its health checked where that is on:
those may ask the server, and are to be spared a task that asks one thing after another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import Context
from datetime import tzinfo
from time import monotonic
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import psycopg
from django.db.utils import DatabaseErrorWrapper
from django_async_backend.db.backends.base.base import RAN_DB_VERSION_CHECK
from psycopg.pq import TransactionStatus

from turbo_orm.driver import connection_created
from turbo_orm.driver.connection import AsyncConnection
from turbo_orm.driver.wait_queue import Turns


class Borrower(Protocol):
    """Who holds a connection of the pool."""

    def is_idle(self) -> bool:
        """Return whether the connection can be taken away."""
        ...

    def let_go(self) -> Any:
        """Have no connection any more, and return the one that there was."""
        ...


class Terms(NamedTuple):
    """What Django's settings want of a connection."""

    alias: str
    settings_dict: dict[str, Any]
    # What moments are loaded in, and what the session has.
    timezone: tzinfo | None
    timezone_name: bytes


class Pool:
    """A pool of psycopg's, with its borrowers."""

    def __init__(self, driver_pool: Any) -> None:
        self.driver_pool = driver_pool
        if driver_pool.connection_class is psycopg.AsyncConnection:
            # It has not connected yet.
            driver_pool.connection_class = AsyncConnection
        self.turns = Turns(driver_pool)
        self.borrowers: dict[Borrower, None] = {}
        self._is_others_turn = False
        # What a connection has to be like to be borrowed for a statement: set by who connects.
        self.terms: Terms | None = None
        # Those that wait for a connection. While there are any, nobody keeps an idle one.
        self.waiting = 0

    async def lend(self, borrower: Borrower, is_checked: bool = False) -> Any:
        """Return a connection: a free one, one that another borrower does not use, or a new one.

        With ``is_checked`` it is one that works: psycopg sees to that if it comes from its pool.
        Raises psycopg's ``PoolTimeout`` if there is none in time.
        """
        if self.driver_pool.closed:
            await self.driver_pool.open()
        connection = None
        if not self.driver_pool.get_stats()["pool_available"]:
            connection = self._take_idle()
            while is_checked and connection is not None and not await self._works(connection):
                connection = self._take_idle()
        if connection is None:
            self.waiting += 1
            try:
                connection = await self.driver_pool.getconn()
            finally:
                self.waiting -= 1
        self.borrowers[borrower] = None
        return connection

    def _take_idle(self) -> Any:
        for borrower in self.borrowers:
            if borrower.is_idle():
                del self.borrowers[borrower]
                return borrower.let_go()
        return None

    async def _works(self, connection: Any) -> bool:
        """Return whether a connection answers. If it does not, the pool replaces it."""
        try:
            await self.driver_pool.check_connection(connection)
        except BaseException as exc:
            await self.driver_pool.putconn(connection)
            if not isinstance(exc, Exception):
                raise
            return False
        return True

    async def get_back(self, borrower: Borrower, connection: Any) -> None:
        """Put a connection back. A broken one is replaced."""
        self.borrowers.pop(borrower, None)
        if not (self._is_good(connection) and self.turns.give(connection)):
            await self.driver_pool.putconn(connection)

    # For a statement, by nobody in particular (turbo_orm.execution.direct)

    # They have no wrapper to tell that errors have occurred.
    wrap_database_errors: Any = DatabaseErrorWrapper(SimpleNamespace(Database=psycopg))

    def is_open_to_all(self) -> bool:
        """Return whether nothing has to be done with each connection that is got."""
        if self.terms is None or connection_created.want_each_connection():
            return False
        wanted = self.terms.settings_dict
        return (
            self.terms.alias in RAN_DB_VERSION_CHECK
            and wanted["AUTOCOMMIT"]
            and not wanted["CONN_HEALTH_CHECKS"]
        )

    def lend_at_once(self) -> AsyncConnection | None:
        """Return a connection that is free, or that a borrower does nothing with, or ``None``.

        As psycopg's ``getconn()`` would. That takes 12 µs with ``putconn()``, this takes 2.
        """
        driver_pool = self.driver_pool
        free = driver_pool._pool
        if self.turns.is_waited() or driver_pool._lock.locked():
            return None
        if not free:
            connection = self._take_idle()
            return None if connection is None else self._fit(connection)
        driver_pool._stats["requests_num"] += 1
        connection = free.popleft()
        driver_pool._nconns_min = min(driver_pool._nconns_min, len(free))
        # psycopg does so, too, and no longer than it is out: it would be a cycle.
        connection._pool = driver_pool
        return self._fit(connection)

    async def lend_in_turn(self) -> AsyncConnection | None:
        """Wait for a connection, if that helps.

        Raises psycopg's ``PoolTimeout`` if there is none in time.
        """
        if self.driver_pool._pool and not self.turns.is_waited():
            # They are free, but something has to be done before.
            return None
        turn = self.turns.join()
        self.waiting += 1
        try:
            return self._fit(await turn)
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:
                self.take_back(turn.result())
            raise
        finally:
            self.waiting -= 1

    def _fit(self, connection: Any) -> AsyncConnection | None:
        """Return a connection if it is such as Django's settings want it, or put it back."""
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
        self.take_back(connection)
        return None

    def take_back(self, connection: Any) -> None:
        """Have a connection back. Who waits gets it, here and at psycopg's pool alternately."""
        driver_pool = self.driver_pool
        if self._is_good(connection):
            others = len(driver_pool._waiting) - (self.turns.scout is not None)
            self._is_others_turn = others > 0 and not self._is_others_turn
            if not self._is_others_turn and self.turns.give(connection):
                return
            if not driver_pool._waiting and not driver_pool._lock.locked():
                connection._pool = None
                driver_pool._pool.append(connection)
                return
        soon(driver_pool.putconn(connection))

    def _is_good(self, connection: Any) -> bool:
        """Return whether psycopg's pool would have a connection back without further ado."""
        driver_pool = self.driver_pool
        return bool(
            connection.pgconn.transaction_status == TransactionStatus.IDLE
            and connection._expire_at > monotonic()
            # Before 3.3, psycopg_pool cannot be drained.
            and getattr(connection, "_created_at", 1) > getattr(driver_pool, "_drained_at", 0)
            and not driver_pool._closed
            and driver_pool._reset is None
            and driver_pool._pool_full_event is None
        )


class LoopPools:
    """The pools of an event loop, by alias. They are closed when the loop shuts down."""

    def __init__(self) -> None:
        # django-async-backend keeps psycopg's pools here.
        self.driver_pools: dict[str, Any] = {}
        self._pools: dict[str, Pool] = {}
        self._keeper: asyncio.Task[None] | None = None

    def pool(self, alias: str, driver_pool: Any) -> Pool:
        """Return the pool around one of psycopg's."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(
                self._close_with_the_loop(), name="turbo_orm-pools", context=Context()
            )
        pool = self._pools.get(alias)
        if pool is None or pool.driver_pool is not driver_pool:
            pool = self._pools[alias] = Pool(driver_pool)
        return pool

    def found(self, alias: str) -> Pool | None:
        """Return the pool of an alias that somebody has borrowed from already, if it is open."""
        pool = self._pools.get(alias)
        return None if pool is None or pool.driver_pool._closed else pool

    def forget_terms(self) -> None:
        """Have the next one who connects say what a connection has to be like."""
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
                await _close(self.driver_pools.popitem()[1])
            # They refer to the loop, which is not to outlive itself here.
            self._pools.clear()
            self._keeper = None


async def _close(driver_pool: Any) -> None:
    """Close a pool whose workers are cancelled: its ``close()`` then ends halfway."""
    connections = []
    with suppress(psycopg.Error):
        for _ in range(driver_pool.get_stats()["pool_available"]):
            connections.append(await driver_pool.getconn(timeout=0.1))
    with suppress(asyncio.CancelledError):
        await driver_pool.close()
    for connection in connections:
        await connection.close()


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopPools] = WeakKeyDictionary()


def loop_pools() -> LoopPools:
    """Return the pools of the running event loop. Raise ``RuntimeError`` if there is none."""
    loop = asyncio.get_running_loop()
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = LoopPools()
    return found


def forget_terms(*, setting: str, **kwargs: Any) -> None:
    """Receive ``setting_changed``: ask anew what the settings want of a connection."""
    if setting in {"DATABASES", "TIME_ZONE", "USE_TZ"}:
        for pools in list(_of_loops.values()):
            pools.forget_terms()


_in_background: set[asyncio.Task[None]] = set()


def soon(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine as far as it goes without waiting, and what is left of it in a task.

    Where no event loop runs any more, what is left is not run.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        with suppress(StopIteration):
            coroutine.send(None)
        coroutine.close()
        return
    task = asyncio.Task(coroutine, loop=loop, eager_start=True)
    if not task.done():
        _in_background.add(task)
        task.add_done_callback(_in_background.discard)
