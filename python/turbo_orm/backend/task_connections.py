"""Which connection an asyncio task uses: its own.

``async_connections[alias]`` is django-async-backend's wrapper of the current task. A task that
asks for the first time gets a wrapper of its own, whatever its parent has: so ``asyncio.gather()``
over querysets runs side by side. What a task has is given back or closed when the task ends.

Two things of a parent cannot be shared: an open transaction, and the state of a session that it
holds on to. A task that was started inside one is refused, rather than let loose on a connection
that knows nothing of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import django
import django_async_backend
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.db.transaction import TransactionManagementError
from django.db.utils import load_backend
from django_async_backend.db import async_connections as _backend_connections
from django_async_backend.db.backends.base.base import RAN_DB_VERSION_CHECK
from psycopg.pq import ConnStatus, TransactionStatus

from turbo_orm import bridge
from turbo_orm.driver.connection import AsyncConnection
from turbo_orm.driver.pool import Pool, Terms, loop_pools, soon

_LIBRARIES = (
    str(Path(__file__).parent.parent) + os.sep,
    *[
        str(Path(module.__file__ or "").parent) + os.sep
        for module in (django, django_async_backend, contextlib)
    ],
)

# The owner of what a task that has ended has left behind.
_NOBODY = object()


class Block(NamedTuple):
    """A block that keeps a connection to itself: a transaction, or ``async_connection()``."""

    what: str
    where: str
    task: str


# The blocks, by alias, that the running code is in or was started in.
_blocks: ContextVar[Mapping[str, Block]] = ContextVar(
    "turbo_orm_blocks",
    default=MappingProxyType({}),
)


# The wrappers, by alias, that the running code has or has inherited: those of async_connections,
# which takes 11 Python calls to ask for one.
in_context: ContextVar[Mapping[str, Any]] = ContextVar(
    "turbo_orm_connections",
    default=MappingProxyType({}),
)


class TaskBlocks:
    """The block that a connection is in, and whom it keeps out."""

    alias: str
    _task: Any

    # Set while the connection must not be lent or given to another task.
    block: Block | None = None

    def enter_or_leave_block(self, what: str, is_in_block: bool) -> None:
        """Have the code that runs from now on know that it is in a block, or no longer."""
        if is_in_block and self.block is None:
            self.block = Block(what, _place(), _name(self._task))
            _blocks.set({**_blocks.get(), self.alias: self.block})
        elif not is_in_block and self.block is not None:
            self.block = None

    def refuse_children(self) -> None:
        """Raise if the running code was started inside the block that the connection is in."""
        if self.block is not None and _blocks.get().get(self.alias) is self.block:
            what, where, task = self.block
            raise TransactionManagementError(
                f"A {what} on {self.alias!r} is open in {task} ({where}), and "
                f"{_name(current_task())} was started inside it. It is one connection, which does "
                f"one thing at a time: await one after the other, gather outside of the block, or "
                f"give the task a connection of its own with "
                f"`async with async_connection({self.alias!r}):`, which sees nothing of the block."
            )


class TaskConnection(TaskBlocks):
    """django-async-backend's wrapper, as an asyncio task has it. Mixed into its class."""

    connection: Any
    autocommit: bool
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

    # The one that Django's sync code sees on the bridge, once it was asked for.
    bridged: Any = None
    # That of the task that has started this one, if there was one.
    bridged_parent: Any = None
    # Blocks of async_connection() that the task is in.
    holds = 0
    # Cursors on the server that are open: they outlive the call that opened them.
    server_side_cursors = 0
    # A cursor of django-async-backend's was asked for: nobody knows when it was closed.
    is_kept = False
    # What a task has set for its session is still there.
    is_dirty = False
    # The settings have another time zone than the session, since code that could not wait.
    is_zone_due = False

    def __init__(self, settings_dict: dict[str, Any], alias: str) -> None:
        self._in_atomic_block = False
        self._lender: Pool | None = None
        self._user: object | None = None
        self._task: Any = None
        super().__init__(settings_dict, alias)  # type: ignore[call-arg]

    # Whose it is

    def belongs_to(self, task: asyncio.Task[Any] | None) -> None:
        """Make a task its owner, at whose end the connection is given back."""
        self._task = task
        if task is not None:
            task.add_done_callback(self._outlive)

    def _outlive(self, task: asyncio.Task[Any]) -> None:
        self._task = _NOBODY
        self.bridged = self.bridged_parent = None
        if self.connection is not None and not self.server_side_cursors:
            self.give_back()

    @property
    def is_owned(self) -> bool:
        """Whether the task that it belongs to has not ended."""
        return self._task is not _NOBODY

    def validate_task_sharing(self) -> None:
        """Refuse to be used by another task than the owner."""
        if self._task is not current_task():
            raise RuntimeError(
                f"This connection to {self.alias!r} belongs to another task. Ask "
                f"async_connections[{self.alias!r}] for one of the running task's own."
            )

    def inherit(self, parent: TaskConnection) -> None:
        """Be watched as the connection of the task that started this one is."""
        self.bridged_parent = parent.bridged
        self.execute_wrappers = [*parent.execute_wrappers]
        self.force_debug_cursor = parent.force_debug_cursor
        self.queries_log = parent.queries_log

    # Blocks

    @property
    def in_atomic_block(self) -> bool:
        return self._in_atomic_block

    @in_atomic_block.setter
    def in_atomic_block(self, value: bool) -> None:
        self._in_atomic_block = value
        self._see_to_block("transaction")

    def hold(self) -> None:
        """Keep the connection until ``unhold()`` is called as often."""
        self.holds += 1
        self.is_dirty = True
        self._see_to_block("async_connection() block")

    def unhold(self) -> None:
        self.holds -= 1
        self._see_to_block("async_connection() block")
        self.release()

    def _see_to_block(self, what: str) -> None:
        self.enter_or_leave_block(what, self._in_atomic_block or self.holds > 0)

    # Borrowing

    async def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection of the pool, or a new one."""
        self.isolation_level, is_set = self._isolation_level()
        pool = self.pool
        if pool is None:
            self.connection = await AsyncConnection.connect(**conn_params)
        else:
            self._lender = loop_pools().pool(self.alias, pool)
            is_checked = self.settings_dict["CONN_HEALTH_CHECKS"]
            self.connection = await self._lender.lend(self, is_checked)
            # The settings may have changed since it was opened: in tests.
            await self._configure_timezone(self.connection)  # type: ignore[attr-defined]
            name = (self.timezone_name or "").encode()
            self._lender.terms = Terms(self.alias, self.settings_dict, self.timezone, name)
        if is_set:
            await self.connection.set_isolation_level(self.isolation_level)
        return self.connection

    async def init_connection_state(self) -> None:
        """Check the server's version, and set time zone and role, unless the pool has."""
        if self._lender is None or self.alias not in RAN_DB_VERSION_CHECK:
            await super().init_connection_state()  # type: ignore[misc]

    def _isolation_level(self) -> tuple[IsolationLevel, bool]:
        try:
            level = self.settings_dict["OPTIONS"]["isolation_level"]
        except KeyError:
            return IsolationLevel.READ_COMMITTED, False
        try:
            return IsolationLevel(level), True
        except ValueError:
            raise ImproperlyConfigured(
                f"Invalid transaction isolation level {level} specified. Use one of the "
                f"psycopg.IsolationLevel values."
            ) from None

    async def _set_autocommit(self, autocommit: bool) -> None:
        """Tell the driver, which tells nobody: BEGIN comes with the next statement.

        psycopg gives the loop a turn afterwards if it had none for 5 ms. A task that is cancelled
        then would go on in a transaction that it knows nothing of, and nobody commits.
        """
        with self.wrap_database_errors:  # type: ignore[attr-defined]
            await bridge.WithoutCheckpoints(self.connection.set_autocommit(autocommit))

    @property
    def _connection_pools(self) -> dict[str, Any]:
        # A pool of asyncio's belongs to an event loop.
        return loop_pools().driver_pools

    def use(self) -> None:
        """Keep the connection, if it has not ended, until the code that runs on the bridge has."""
        if self.is_lost():
            self.give_back()
        user = bridge.outermost()
        if user is not self._user:
            self._user = user
            user.at_exit(self._unuse)

    def _unuse(self) -> None:
        self._user = None
        self.release()

    # The straight way (turbo_orm.execution.direct)

    @property
    def is_watched(self) -> bool:
        """Whether somebody wants to see, change or refuse statements."""
        return bool(
            self.execute_wrappers
            or self.force_debug_cursor
            # Tools put a method of their own in its place.
            or (self.bridged is not None and "cursor" in self.bridged.__dict__)
        )

    @property
    def is_bare(self) -> bool:
        """Whether nothing follows from it for a task that has no connection."""
        if self._task is _NOBODY:
            return True
        return self._task is not None and self.block is None and not self.is_watched

    def lend_at_once(self) -> AsyncConnection | None:
        """Return the driver's connection if nothing has to be done before a statement.

        It is kept until ``take_back()``, unless code on the bridge keeps it already.
        """
        driver = self.connection
        if (
            type(driver) is not AsyncConnection
            or not driver.is_ready(self.timezone)
            or self.needs_rollback
            or self.is_zone_due
            or (self.health_check_enabled and not self.health_check_done)
            or self.is_watched
        ):
            return None
        if self._user is None:
            self._user = driver
        return driver

    async def lend_in_turn(self) -> None:
        """There is no other connection to wait for."""

    def take_back(self, driver: AsyncConnection) -> None:
        """Release the connection after a statement, if somebody wants it, or it is broken."""
        if self._user is driver:
            self._user = None
            if (
                self.is_dirty
                or (self._lender is not None and self._lender.waiting)
                or driver.pgconn.status != ConnStatus.OK
            ):
                self.release()

    def is_idle(self) -> bool:
        """Return whether nobody would notice if the connection were taken away."""
        return (
            self.connection is not None
            and self._user is None
            and self.block is None
            and not self.server_side_cursors
            and not self.is_kept
            and self.autocommit
            and self.connection.pgconn.transaction_status == TransactionStatus.IDLE
        )

    def is_lost(self) -> bool:
        """Return whether the connection has ended, and nothing of a transaction with it."""
        if self.connection is None or self._in_atomic_block or not self.autocommit:
            return False
        return self.connection.closed or self._is_stuck()

    def _is_stuck(self) -> bool:
        """Return whether the driver waits for an answer that nobody waits for any more.

        libpq may have failed to receive one without taking the connection for ended.
        """
        return (
            self.connection.pgconn.transaction_status == TransactionStatus.ACTIVE
            and not self.connection.lock.locked()
            and not self.holds
            and not self.server_side_cursors
            and not self.is_kept
        )

    def release(self) -> None:
        """Give the connection back if it is broken, used up, or wanted by somebody."""
        if self.connection is None or self._in_atomic_block:
            return
        if self.is_lost():
            self.give_back()
        elif self._lender is not None and self.is_idle():
            if self.is_dirty or self._lender.waiting or not self.is_owned:
                self.give_back()
        elif not self.is_owned and not self.server_side_cursors:
            self.give_back()

    def give_back(self) -> None:
        """Put the connection back into the pool, or close it where there is none."""
        is_dirty = self.is_dirty
        soon(self._return(self.let_go(), is_dirty))

    def let_go(self) -> Any:
        """Have no connection any more, and return the one that there was."""
        connection, self.connection = self.connection, None
        self.is_kept = False
        # Whoever holds on to a session does so to the next one, too, if the first has ended.
        self.is_dirty = self.holds > 0
        return connection

    async def _return(self, connection: Any, is_dirty: bool) -> None:
        if self._lender is None:
            await connection.close()
            return
        if is_dirty and not connection.closed:
            try:
                await self._reset(connection)
            except Exception:
                await connection.close()
        try:
            await self._lender.get_back(self, connection)
        except BaseException:
            # The loop shuts down meanwhile, and cancels this.
            await connection.close()
            raise

    async def _reset(self, connection: Any) -> None:
        """Have a session be as it was at its beginning, as far as the server can do that."""
        if connection.info.transaction_status != TransactionStatus.IDLE:
            return  # the pool rolls back, or closes
        await connection.execute("DISCARD ALL", prepare=False)
        await self._configure_connection(connection)  # type: ignore[attr-defined]

    async def _close(self) -> None:
        if self.connection is not None:
            with self.wrap_database_errors:  # type: ignore[attr-defined]
                is_dirty = self.is_dirty
                await self._return(self.let_go(), is_dirty)

    def expect_timezone(self) -> bool:
        """Have the next statement tell the session the time zone of the settings."""
        self.is_zone_due = True
        return False

    # The way of django-async-backend's own code

    async def ensure_connection(self) -> None:
        """Connect on the bridge, where receivers of ``connection_created`` may query."""
        if self.connection is None or self.is_lost():
            await bridge.run(lambda: connections[self.alias].ensure_connection())

    def cursor(self) -> Any:
        """Return what gives a cursor. The connection stays with the task from then on."""
        if not self._in_atomic_block:
            self.is_kept = True
        return super().cursor()  # type: ignore[misc]


def _place() -> str:
    """Return where the caller's code was called from: the first frame that is no library's."""
    for frame in bridge.frames():
        if not frame.f_code.co_filename.startswith(_LIBRARIES):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return "unknown code"


def current_task() -> asyncio.Task[Any] | None:
    """Return the running task, or ``None`` if code of no task runs."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _name(task: Any) -> str:
    return task.get_name() if isinstance(task, asyncio.Task) else "no task"


@cache
def _class_over(wrapper_class: type) -> Callable[[dict[str, Any], str], Any]:
    return type("TaskDatabaseWrapper", (TaskConnection, wrapper_class), {})


def task_connection(backend: Any, settings_dict: dict[str, Any], alias: str) -> Any:
    """Return a new connection that is the running task's."""
    connection = _class_over(backend.AsyncDatabaseWrapper)(settings_dict, alias)
    connection.belongs_to(current_task())
    return connection


class TaskConnectionHandler(type(_backend_connections)):  # type: ignore[misc]
    """``async_connections``, which answers with a connection of the task that asks.

    Where a test has them shared, all tasks of all threads have the same.
    """

    shared: ClassVar[dict[str, Any]] = {}

    def __getitem__(self, alias: str) -> Any:
        if self.shared and alias in self.shared:
            return self.shared[alias]
        found = getattr(self._connections, alias, None)
        task = current_task()
        if found is None:
            return self._of_its_own(alias)
        if found._task is task:
            return found
        if found._task is None:
            # Somebody has put it there, for whoever comes first.
            found.belongs_to(task)
            return found
        if found.is_owned:
            found.refuse_children()
        return self._of_its_own(alias, found)

    def __setitem__(self, alias: str, connection: Any) -> None:
        super().__setitem__(alias, connection)
        in_context.set({**in_context.get(), alias: connection})

    def __delitem__(self, alias: str) -> None:
        super().__delitem__(alias)
        in_context.set({key: value for key, value in in_context.get().items() if key != alias})

    def has(self, alias: str) -> bool:
        """Return whether the running code has a connection, or has inherited one."""
        return alias in self.shared or hasattr(self._connections, alias)

    def own(self, alias: str) -> Any:
        """Return the running task's connection, in spite of a block that it was started in."""
        if alias in self.shared:
            return self.shared[alias]
        found = getattr(self._connections, alias, None)
        task = current_task()
        if found is not None and found._task is task:
            return found
        return self._of_its_own(alias, found)

    def _of_its_own(self, alias: str, parent: Any = None) -> Any:
        connection = self.create_connection(alias)
        if parent is not None and parent.is_owned:
            connection.inherit(parent)
        self[alias] = connection
        return connection

    def create_connection(self, alias: str) -> Any:
        """Return a new connection. Raise ``ConnectionDoesNotExist`` if it cannot be async."""
        if alias not in self.settings:
            raise self.exception_class(f"The connection {alias!r} doesn't exist.")
        settings_dict = self.settings[alias]
        backend = load_backend(settings_dict["ENGINE"])
        if not hasattr(backend, "AsyncDatabaseWrapper"):
            raise self.exception_class(f"The async connection {alias!r} doesn't exist.")
        return task_connection(backend, settings_dict, alias)


# Its class is TaskConnectionHandler where turbo-orm is installed (turbo_orm.patches). The handler
# has no state of its own: the connections that exist already stay.
async_connections: Any = _backend_connections
