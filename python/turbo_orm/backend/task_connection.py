"""The connection of an asyncio task: django-async-backend's wrapper, with an owner and a state.

Its state is **connection_state**'s; a task gets it from **task_connections**. A statement acquires
it without a bridge (turbo_orm.execution.direct), Django's code acquires it on the bridge, and
where there is a pool (turbo_orm.driver.pool) the pool takes an idle one for another task. When its
task is done, the driver connection goes back to the pool, or is closed where there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from operator import attrgetter
from typing import Any

from django.db import connections
from django_async_backend.db.backends.base.base import RAN_DB_VERSION_CHECK
from psycopg.pq import ConnStatus, TransactionStatus

from turbo_orm import bridge
from turbo_orm.backend.connection_state import ConnectionState, Owner, Pin, State, current_task
from turbo_orm.backend.isolation_level import isolation_level
from turbo_orm.backend.releasing import release
from turbo_orm.backend.sync_connections import has_own_cursor
from turbo_orm.driver.connection import AsyncConnection
from turbo_orm.driver.pool import Pool, loop_pools, soon
from turbo_orm.driver.terms import Terms, entry

_ACTIVE = TransactionStatus.ACTIVE
_IDLE = TransactionStatus.IDLE


class TaskConnection(ConnectionState):
    """django-async-backend's wrapper, as an asyncio task has it. Mixed into its class.

    ``acquire_nowait()`` and ``release()`` are for one statement, ``acquire_on_bridge()`` for a
    call on the bridge, ``pin()`` and ``unpin()`` for what outlives a call, and ``detach()`` for
    the pool.
    """

    pool: Any
    settings_dict: dict[str, Any]
    execute_wrappers: list[Any]
    force_debug_cursor: bool
    queries_log: Any
    needs_rollback: bool
    health_check_enabled: bool
    health_check_done: bool
    timezone: Any
    timezone_name: str | None

    # Django's wrapper over this one, which sync code sees on the bridge, once it was asked for.
    bridged: Any = None
    # That of the task that has started the owner, if that task had one.
    bridged_parent: Any = None
    # The settings have another time zone than the session: the next statement sets it.
    is_zone_due = False

    def __init__(self, settings_dict: dict[str, Any], alias: str) -> None:
        self._driver: Any = None
        self._autocommit = False
        # Statements and calls on the bridge that use the connection at present.
        self._calls = 0
        self._bridge: bridge.Bridge | None = None
        self._source: Pool | None = None
        self.has_own_cursor = has_own_cursor(settings_dict["ENGINE"])
        super().__init__(settings_dict, alias)

    # What Django sets, and what follows for the state. The getters are no Python functions, since
    # each statement reads the first.

    def _attach(self, driver: Any) -> None:
        self._driver = driver
        if self.state is State.LOST:
            self.enter(State.DETACHED)
        if driver is None:
            self.pins.pop(Pin.CURSOR, None)
            self.pins.pop(Pin.SESSION, None)
            # It refers to the event loop, which this may outlive.
            self._source = None
            # What a block has set is lost with the session, and it may set the next one's.
            self.is_dirty = Pin.BLOCK in self.pins
        self.settle()

    def _set_autocommit_flag(self, autocommit: bool) -> None:
        if autocommit != self._autocommit:
            self._autocommit = autocommit
            self.settle()

    def _set_in_atomic_block(self, is_inside: bool) -> None:
        if is_inside != (Pin.TRANSACTION in self.pins):
            (self.pin if is_inside else self.unpin)(Pin.TRANSACTION)

    connection = property(attrgetter("_driver"), _attach)
    autocommit = property(attrgetter("_autocommit"), _set_autocommit_flag)
    in_atomic_block = property(lambda self: Pin.TRANSACTION in self.pins, _set_in_atomic_block)

    def settle(self) -> None:
        """Go to the state that follows from the driver connection, the pins and the calls."""
        driver = self._driver
        if driver is None:
            self.enter(State.DETACHED)
        elif self.state is State.LOST:
            pass
        elif self._calls:
            is_kept = self.pins or not self._autocommit
            self.enter(State.PINNED if is_kept else State.IN_USE)
        elif driver.closed or self._is_stuck():
            self.enter(State.LOST)
        elif (
            self.pins
            or not self._autocommit
            # A statement has begun a transaction, by its SQL.
            or driver.pgconn.transaction_status != _IDLE
        ):
            self.enter(State.PINNED)
        else:
            self.enter(State.IDLE)

    # The owner

    def claim(self, task: asyncio.Task[Any] | None) -> None:
        """Make a task the owner. When it is done, the connection is released for good."""
        if task is not None and task is not self.owner:
            self.owner = task
            task.add_done_callback(self._on_task_done)

    # django-async-backend's name of the owner. Its test cases assign the task of each test.
    _task = property(attrgetter("owner"), claim)

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        if self.owner is not task:
            return
        self.owner = Owner.ENDED
        self.bridged = self.bridged_parent = None
        # An iterator may outlive the task: what closes its cursor releases the connection.
        if self._driver is not None and Pin.SERVER_SIDE_CURSOR not in self.pins:
            self.put_back()

    def validate_task_sharing(self) -> None:
        """Raise if another task than the owner uses the connection."""
        if not self.serves(current_task() or Owner.UNCLAIMED):
            raise RuntimeError(
                f"This connection to {self.alias!r} belongs to another task. Ask "
                f"async_connections[{self.alias!r}] for one of the running task's own."
            )

    def inherit(self, parent: TaskConnection) -> None:
        """Log statements and call execute wrappers as the parent task's connection does."""
        self.bridged_parent = parent.bridged
        self.execute_wrappers = [*parent.execute_wrappers]
        self.force_debug_cursor = parent.force_debug_cursor
        self.queries_log = parent.queries_log

    # Connecting

    async def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection of the pool, or a new one."""
        if loop_pools().drop_stale(self.alias):
            self.settings_dict = entry(self.alias) or self.settings_dict
        self.isolation_level, is_set = isolation_level(self.settings_dict)
        pool = self.pool
        if pool is None:
            self.connection = await AsyncConnection.connect(**conn_params)
        else:
            self._source = loop_pools().pool(self.alias, pool)
            is_checked = self.settings_dict["CONN_HEALTH_CHECKS"]
            self.connection = await self._source.acquire_for(self, is_checked)
            # The settings may have changed since it was opened: in tests.
            await self._configure_timezone(self.connection)  # type: ignore[attr-defined]
            name = (self.timezone_name or "").encode()
            if not self.has_own_cursor:
                self._source.terms = Terms(self.alias, self.settings_dict, self.timezone, name)
        if is_set:
            await self.connection.set_isolation_level(self.isolation_level)
        return self.connection

    async def init_connection_state(self) -> None:
        """Check the server's version, and set time zone and role, unless the pool has."""
        # To ask a cursor for it would pin the connection.
        self._pg_version = self.connection.info.server_version
        if self._source is None or self.alias not in RAN_DB_VERSION_CHECK:
            await super().init_connection_state()  # type: ignore[misc]

    async def _set_autocommit(self, autocommit: bool) -> None:
        """Set the driver's flag. Nothing is sent: BEGIN comes with the next statement.

        psycopg yields to the loop afterwards if it did not for 5 ms. A task that is cancelled
        there would go on in a transaction that it does not know of, and that is never committed.
        """
        with self.wrap_database_errors:  # type: ignore[attr-defined]
            await bridge.WithoutCheckpoints(self.connection.set_autocommit(autocommit))

    @property
    def _connection_pools(self) -> dict[str, Any]:
        return loop_pools().driver_pools

    # For a call on the bridge

    def acquire_on_bridge(self) -> None:
        """Use the connection until the code on the bridge returns. A lost one is detached."""
        if self.is_lost():
            self.put_back()
        outermost = bridge.outermost()
        if outermost is not self._bridge:
            self._bridge = outermost
            self._calls += 1
            outermost.at_exit(self._release_from_bridge)
            self.settle()

    def _release_from_bridge(self) -> None:
        # If it was another one, that acquires once more, and releases as often.
        self._bridge = None
        self._calls -= 1
        self._put_back_if_due()

    def keep_for_cursor(self) -> None:
        """Keep the connection for a server-side cursor, which outlives the call that opens it."""
        self.pin(Pin.SERVER_SIDE_CURSOR)

    def release_cursor(self) -> None:
        """Undo ``keep_for_cursor()``, in a call on the bridge that may be another task's.

        Where Python collects an iterator outside of the bridge, nothing has closed the cursor: the
        session is reset.
        """
        self.unpin(Pin.SERVER_SIDE_CURSOR)
        if bridge.active():
            self.acquire_on_bridge()
        else:
            self.is_dirty = True
            if self.state is State.IDLE:
                self.put_back()
            self._put_back_if_due()

    async def enter_block(self, reason: Pin = Pin.BLOCK) -> None:
        """Connect, and pin the connection: for ``async_connection()``, and its session, too."""
        self.pin(reason)
        self.is_dirty |= reason is Pin.BLOCK
        try:
            await self.ensure_connection_on_bridge()
        except BaseException:
            self.leave_block(reason)
            raise

    def leave_block(self, reason: Pin = Pin.BLOCK) -> None:
        """Undo ``enter_block()``."""
        self.unpin(reason)
        self._put_back_if_due()

    async def ensure_connection_on_bridge(self) -> None:
        """Connect on the bridge, where receivers of ``connection_created`` may query."""
        await bridge.run(lambda: connections[self.alias].ensure_connection())

    # For a statement without a bridge (turbo_orm.execution.direct)

    @property
    def is_watched(self) -> bool:
        """Whether a tool, a test or the engine wants to see, change or refuse statements."""
        return bool(
            self.has_own_cursor
            or self.execute_wrappers
            or self.force_debug_cursor
            # Tools put a method of their own in its place.
            or (self.bridged is not None and "cursor" in self.bridged.__dict__)
        )

    @property
    def is_negligible(self) -> bool:
        """Whether a statement of the running task may go to the pool in spite of this connection.

        The task has inherited it, or has detached it.
        """
        if self.owner is Owner.ENDED:
            return True
        return self.owner is not Owner.UNCLAIMED and self.block is None and not self.is_watched

    def acquire_nowait(self) -> AsyncConnection | None:
        """Return the driver connection for a statement, until ``release()``.

        ``None`` where something has to be done before: that is Django's, on the bridge.
        """
        driver = self._driver
        if (
            type(driver) is not AsyncConnection
            or not driver.is_ready(self.timezone)
            or self.needs_rollback
            or self.is_zone_due
            or (self.health_check_enabled and not self.health_check_done)
            or self.is_watched
        ):
            return None
        self._calls += 1
        if self.state is State.IDLE:
            self.state = State.IN_USE
        return driver

    async def acquire(self) -> None:
        """Return ``None``: there is no other connection to wait for."""

    def release(self, driver: AsyncConnection) -> None:
        """End the use that ``acquire_nowait()`` began."""
        self._calls -= 1
        if self._calls:
            return
        if self.state is State.IN_USE:
            if (
                driver.pgconn.transaction_status == _IDLE
                and not self.is_dirty
                and (self._source is None or not self._source.waiting)
            ):
                self.state = State.IDLE
            else:
                self._put_back_if_due()
        elif driver.pgconn.status != ConnStatus.OK:
            self._put_back_if_due()

    # Detaching

    def is_idle(self) -> bool:
        """Return whether the pool may take the connection for another task."""
        return self.state is State.IDLE and self._driver.pgconn.transaction_status == _IDLE

    def is_lost(self) -> bool:
        """Return whether the connection has ended outside of a transaction: it is replaced."""
        driver = self._driver
        return (
            driver is not None
            and self._autocommit
            and Pin.TRANSACTION not in self.pins
            and (driver.closed or self._is_stuck() or self._has_ended())
        )

    def _has_ended(self) -> bool:
        """Return whether the server has ended a session on which nothing depends."""
        return not self.pins and getattr(self._driver, "has_ended", False)

    def _is_stuck(self) -> bool:
        """Return whether libpq expects an answer that no code waits for.

        It may fail to receive one without taking the connection for ended.
        """
        pgconn, lock = self._driver.pgconn, self._driver.lock
        return pgconn.transaction_status == _ACTIVE and not lock.locked() and not self.pins

    def _put_back_if_due(self) -> None:
        """At the end of a call or block, put back what is lost, dirty, wanted or not owned."""
        self.settle()
        if self.state is State.IDLE:
            source = self._source
            is_due = source is not None and (self.is_dirty or source.waiting)
        else:
            is_due = self.state is State.LOST and self.is_lost()
        has_ended = (
            self.owner is Owner.ENDED
            and self._driver is not None
            and not self._calls
            # A transaction that the owner has left open, no code will end.
            and Pin.SERVER_SIDE_CURSOR not in self.pins
        )
        if is_due or has_ended:
            self.put_back()

    def put_back(self) -> None:
        """Detach the driver connection. It goes to the pool, or is closed where there is none."""
        soon(self._release())

    def _release(self) -> Coroutine[Any, Any, None]:
        source, is_dirty = self._source, self.is_dirty
        return release(self, self.detach(), source, is_dirty)

    def detach(self) -> Any:
        """Return the driver connection, and have none any more."""
        driver, self.connection = self._driver, None
        return driver

    async def _close(self) -> None:
        if self.pipeline is not None:
            await self.pipeline.rest()
        if self._driver is not None:
            with self.wrap_database_errors:  # type: ignore[attr-defined]
                await self._release()

    def expect_timezone(self) -> bool:
        """Have the next statement set the session's time zone to that of the settings."""
        self.is_zone_due = True
        return False

    # Called by django-async-backend's own code

    async def ensure_connection(self) -> None:
        """Connect, if there is no connection or it is lost."""
        if self._driver is None or self.is_lost():
            await self.ensure_connection_on_bridge()

    def cursor(self) -> Any:
        """Return what gives a cursor. The connection stays with the task from then on."""
        if not self.pins.keys() & {Pin.CURSOR, Pin.TRANSACTION}:
            self.pin(Pin.CURSOR)
        return super().cursor()  # type: ignore[misc]
