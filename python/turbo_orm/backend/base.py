"""The database connection that Django's sync code sees on the bridge.

``BridgedDatabaseWrapper`` is Django's own PostgreSQL wrapper whose driver connection is the async
one of django-async-backend: what waits for the server goes through ``bridge.await_()``, and all
that changes with a connection (transaction state, query log, the driver connection) is kept on
django-async-backend's wrapper alone (**delegation**), so that ``async_atomic`` outside and
``atomic`` inside are one transaction.

Each task has such a wrapper beside its connection (**task_connection**); **handler** says which
one Django's code gets. Plain code of an event loop gets it, too. It cannot wait for the server,
but it can read ``connection.queries``, install an ``execute_wrapper()`` or register for
``on_commit()``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache, cached_property, partial, update_wrapper
from types import SimpleNamespace
from typing import Any, Self

from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import load_backend
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from turbo_orm import bridge
from turbo_orm.backend import instrumentation, n_plus_one, streaming_cursor, writes
from turbo_orm.backend.cursors import BridgedCursor, ServerSideCursor
from turbo_orm.backend.delegation import STATE, delegates
from turbo_orm.backend.djangos_methods import BlockingConnection, bridged, refuse
from turbo_orm.backend.on_commit import CommitHook, call_outside_transaction
from turbo_orm.backend.operations import Operations
from turbo_orm.backend.releasing import give_up_transaction
from turbo_orm.backend.streaming_cursor import StreamingCursor
from turbo_orm.backend.task_connections import async_connections, task_connection
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.driver import connection_created
from turbo_orm.driver.connection import AsyncConnection


@delegates("async_connection", (*STATE, "connection"))
class BridgedDatabaseWrapper(DatabaseWrapper):
    """Django's wrapper over an async connection: of one task, or of the running task.

    One that is made anew, as by ``copy()``, has a connection of its own until its task ends.
    """

    ops_class = Operations

    health_check_done: bool
    health_check_enabled: bool
    run_on_commit: Any
    # The one connection that it is over, or nothing: that of the running task.
    _fixed: Any

    chunked_cursor = bridged("chunked_cursor")
    clean_savepoints = bridged("clean_savepoints")
    close = bridged("close")
    commit = bridged("commit")
    cursor = bridged("cursor")
    get_autocommit = bridged("get_autocommit")
    rollback = bridged("rollback")
    _make_savepoint = bridged("savepoint")
    savepoint_commit = bridged("savepoint_commit")
    savepoint_rollback = bridged("savepoint_rollback")
    _switch_autocommit = bridged("set_autocommit")
    _connect = bridged("connect")
    _ensure_connection = bridged("ensure_connection")

    def __init__(self, settings_dict: dict[str, Any], alias: str) -> None:
        # Django's __init__ resets the delegated attributes: here, those of a dummy.
        self.initial = self._fixed = SimpleNamespace()
        super().__init__(settings_dict, alias=alias)
        backend = load_backend(settings_dict["ENGINE"])
        self._fixed = task_connection(backend, settings_dict, alias)

    @classmethod
    def of_running_task(cls, settings_dict: dict[str, Any], alias: str) -> Self:
        """Return a wrapper that is over the running task's connection, in each task."""
        wrapper = cls(settings_dict, alias)
        wrapper._fixed = None
        return wrapper

    def of(self, async_connection: Any) -> BridgedDatabaseWrapper:
        """Return the wrapper of one async connection. It shares features and operations."""
        wrapper: BridgedDatabaseWrapper = object.__new__(type(self))
        wrapper.__dict__.update(self.__dict__, _fixed=async_connection)
        return wrapper

    @property
    def async_connection(self) -> Any:
        """django-async-backend's wrapper."""
        return self._fixed or async_connections[self.alias]

    @cached_property
    def pg_version(self) -> int:
        """The server's version, asked for once in a process."""
        self.ensure_connection()
        version: int = self.connection.info.server_version
        return version

    def ensure_connection(self) -> None:
        """Connect if there is no connection. Receivers of ``connection_created`` may query.

        In plain code of an event loop, do nothing: the next statement connects.
        """
        if bridge.active():
            self.async_connection.acquire_on_bridge()
            self._ensure_connection()
            if self.async_connection.is_zone_due:
                self.ensure_timezone()

    def connect(self) -> None:
        """Connect as Django does. What fails or is cancelled halfway leaves no connection.

        Of the tasks of a block of ``async_pipeline()`` that has lost its connection, one connects.
        """
        block = self.async_connection.pipeline
        if block is None:
            self._connect_alone()
            return
        bridge.await_(block.connecting.acquire())
        try:
            if self.connection is None:
                self._connect_alone()
        finally:
            block.connecting.release()

    def _connect_alone(self) -> None:
        try:
            self._connect()
        except BaseException as exc:
            # A pool that is exhausted does not say that the server is gone.
            if isinstance(exc, OperationalError) and not isinstance(exc, PoolTimeout):
                writes.note_unreachable(self.alias)
            if self.connection is not None:
                self.async_connection.put_back()
            raise
        if isinstance(self.connection, AsyncConnection):
            self.connection.types = connection_created.types(self.alias)

    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        """Do as Django, but do not connect for it at the end of a block that lost its connection.

        The server may be down: what has ended the block must not wait for it, nor be replaced by
        an error of connecting. The next statement connects.
        """
        if not bridge.active():
            refuse(self.alias, "set_autocommit")
        connection = self.async_connection
        if connection.pipeline is not None and not autocommit:
            connection.pipeline.refuse_block()
        is_default = autocommit and self.settings_dict["AUTOCOMMIT"]
        is_begin_or_end = is_default and not connection.in_atomic_block
        if is_begin_or_end and connection.connection is None:
            connection.run_commit_hooks_on_set_autocommit_on = False
        elif (
            is_begin_or_end
            and connection.connection.autocommit
            and not connection.run_commit_hooks_on_set_autocommit_on
        ):
            # The driver's flag is set already, as on a connection of the pool.
            connection.autocommit = True
        else:
            self._switch_autocommit(autocommit, *args, **kwargs)

    def savepoint(self) -> Any:
        """Make a savepoint as Django does, but not in a block of ``async_pipeline()``."""
        if bridge.active() and self.async_connection.pipeline is not None:
            self.async_connection.pipeline.refuse_block()
        return self._make_savepoint()

    def close_if_unusable_or_obsolete(self) -> None:
        """Do as Django on the bridge. Elsewhere, the end of the task does it.

        So it does in a block of ``async_pipeline()``, where other tasks use the connection.
        """
        if bridge.active() and self.async_connection.pipeline is None:
            super().close_if_unusable_or_obsolete()

    def ensure_timezone(self) -> bool:
        """Set the session's time zone to that of the settings. Return whether it had another.

        In plain code of an event loop, have the next statement do so, and return ``False``.
        """
        if self.connection is None:
            return False
        if not bridge.active():
            return bool(self.async_connection.expect_timezone())
        self.async_connection.is_zone_due = False
        return bool(bridge.await_(self.async_connection._configure_timezone(self.connection)))

    def get_connection_params(self) -> dict[str, Any]:
        """Return the driver's connection parameters: none, where the pool connects."""
        if self.async_connection.pool is not None:
            return {}
        params: dict[str, Any] = self.async_connection.get_connection_params()
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a new connection of the driver, or one of the pool."""
        return bridge.await_(self.async_connection.get_new_connection(conn_params))

    def init_connection_state(self) -> None:
        """Check the server's version, and set time zone and role."""
        bridge.await_(self.async_connection.init_connection_state())

    def close_if_health_check_failed(self) -> None:
        """Close an existing connection if its health check is due and fails."""
        if self.health_check_enabled and not self.health_check_done:
            bridge.await_(self.async_connection.close_if_health_check_failed())

    def is_usable(self) -> bool:
        """Return whether the server answers."""
        usable: bool = bridge.await_(self.async_connection.is_usable())
        return usable

    def create_cursor(self, name: str | None = None) -> BridgedCursor:
        """Return a driver's cursor. One with a name is a server-side cursor."""
        if not n_plus_one.is_off:
            n_plus_one.count_fetch()
        cursor = self.async_connection.create_cursor(name)
        if name is None:
            return BridgedCursor(cursor, self.async_connection)
        return ServerSideCursor(cursor, self.async_connection)

    @property
    def can_stream(self) -> bool:
        """Whether a result can be received in chunks.

        That is one statement, as Django writes it: not where an execute wrapper or a tool's cursor
        may send another one, or several, and not with server-side binding.
        """
        return (
            streaming_cursor.is_possible()
            and not self.execute_wrappers
            and "cursor" not in self.__dict__
            and not instrumentation.replaced_method()
            and not self.features.uses_server_side_binding
        )

    def can_declare(self) -> bool:
        """Connect, and return whether a server-side cursor comes with its first rows.

        Its declaration and their fetch are one message where no execute wrapper, query log or
        tool has to see the statement, and no BEGIN is due before it.
        """
        self.ensure_connection()
        return (
            self.can_stream
            and not self.queries_logged
            and "chunked_cursor" not in self.__dict__
            and type(self.connection) is AsyncConnection
            and not self.connection.opening()
        )

    def streaming_cursor(self, chunk_size: int) -> Any:
        """Return a cursor whose result arrives in chunks of rows.

        It is wrapped as that of ``cursor()`` is, by Django or by a tool.
        """
        cursor = self.cursor()
        cursor.cursor = StreamingCursor(cursor.cursor._cursor, self.async_connection, chunk_size)
        return cursor

    def validate_thread_sharing(self) -> None:
        """Refuse a connection of another thread."""
        self.async_connection.validate_thread_sharing()

    def on_commit(self, func: Callable[[], Any], robust: bool = False) -> None:
        """Call a function on the bridge, after the commit.

        What it returns is awaited if it can be. Where there is no transaction it is called at
        once: plain code in an event loop cannot await it then, and gets ``RuntimeError``.
        """
        if not callable(func) or bridge.active():
            super().on_commit(CommitHook(func) if callable(func) else func, robust)
        elif self.in_atomic_block:
            self.run_on_commit.append((set(self.savepoint_ids), CommitHook(func), robust))
        else:
            is_on = self.connection is None or self.autocommit
            at_once: Any = SimpleNamespace(in_atomic_block=False, get_autocommit=lambda: is_on)
            # Django logs the function's name if it raises.
            hook = update_wrapper(partial(call_outside_transaction, self.alias, func), func)
            DatabaseWrapper.on_commit(at_once, hook, robust)

    def _commit(self) -> None:
        self._end_transaction("_commit")

    def _rollback(self) -> None:
        self._end_transaction("_rollback")

    def _end_transaction(self, name: str) -> None:
        """Commit or roll back. If that is cancelled, the transaction ends all the same.

        Django closes a connection where an ``Error`` is raised, which a cancellation is not.
        """
        method = getattr(DatabaseWrapper, name)
        try:
            if instrumentation.found == "" or is_own(method):
                bridge.await_(getattr(self.async_connection, name)())
            else:
                method(blocking(self))
        except asyncio.CancelledError:
            give_up_transaction(self.async_connection)
            raise

    def _close(self) -> None:
        bridge.await_(self.async_connection._close())

    def _set_autocommit(self, autocommit: bool) -> None:
        bridge.await_(self.async_connection._set_autocommit(autocommit))


class BlockingDatabaseWrapper(BridgedDatabaseWrapper):
    """The wrapper that a tool's ``_commit()`` gets, or an engine's method, to call Django's with.

    These call methods of the driver connection, and do not await them.
    """

    @property
    def connection(self) -> Any:
        driver = self.async_connection.connection
        return None if driver is None else BlockingConnection(driver)


def blocking(wrapper: BridgedDatabaseWrapper) -> BridgedDatabaseWrapper:
    """Return a wrapper of the same engine with the state of another, whose connection waits."""
    if isinstance(wrapper, BlockingDatabaseWrapper):
        return wrapper
    kind: Any = type(wrapper)
    same: BridgedDatabaseWrapper = object.__new__(_blocking_class(kind))
    same.__dict__ = wrapper.__dict__
    return same


@cache
def _blocking_class(kind: type[Any]) -> type[Any]:
    return type(kind.__name__, (BlockingDatabaseWrapper, kind), {"__module__": kind.__module__})
