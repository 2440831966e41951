"""The database connection that Django's sync code sees on the bridge.

``BridgedDatabaseWrapper`` is Django's own PostgreSQL wrapper whose driver connection is the async
one of django-async-backend: whatever waits for the server goes through ``bridge.await_()``, and
all that changes with a connection (transaction state, query log, the driver's connection) is
kept on django-async-backend's wrapper alone, so that ``async_atomic`` outside and ``atomic``
inside are one transaction.

Each task has such a wrapper beside its connection (**task_connections**). What does not change
(the features, operations, settings) it shares with the process's one wrapper for the alias, so
that it is made in no time and finds warm caches. In an event loop, ``django.db.connections``
answers with it, too: code there cannot wait for the server, but it can look at
``connection.queries``, install an ``execute_wrapper()`` or register for ``on_commit()``.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import _get_running_loop
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import cache, cached_property, partial, update_wrapper, wraps
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any, Self

from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.db import connections
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import ConnectionHandler, load_backend
from psycopg.pq import TransactionStatus

from turbo_orm import bridge
from turbo_orm.backend import streaming_cursor
from turbo_orm.backend.cursors import BridgedCursor, ServerSideCursor
from turbo_orm.backend.operations import Operations
from turbo_orm.backend.streaming_cursor import StreamingCursor
from turbo_orm.backend.task_connections import async_connections, task_connection
from turbo_orm.driver import connection_created
from turbo_orm.driver.connection import AsyncConnection

_ensure_connection = BaseDatabaseWrapper.ensure_connection

ENGINE = "django_async_backend.db.backends.postgresql"


class _Shared:
    """An attribute that is kept on django-async-backend's wrapper."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, wrapper: BridgedDatabaseWrapper, owner: type) -> Any:
        return getattr(wrapper.async_connection, self.name)

    def __set__(self, wrapper: BridgedDatabaseWrapper, value: Any) -> None:
        setattr(wrapper.async_connection, self.name, value)

    def __delete__(self, wrapper: BridgedDatabaseWrapper) -> None:
        delattr(wrapper.async_connection, self.name)


def _bridged(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of Django's wrapper that works on the bridge, and says so elsewhere.

    Django's own check refuses wherever an event loop runs: on the bridge, too.
    """
    method = getattr(method, "__wrapped__", method)

    @wraps(method)
    def bridged(self: BridgedDatabaseWrapper, *args: Any, **kwargs: Any) -> Any:
        if not bridge.active():
            raise SynchronousOnlyOperation(
                f"{method.__name__}() of connections[{self.alias!r}] waits for the database, "
                f"which plain code in an event loop cannot. Use turbo-orm's async methods, "
                f"async_atomic() or `async_connections[{self.alias!r}]`, or have "
                f"turbo_orm.run_sync() call the code."
            )
        return method(self, *args, **kwargs)

    return bridged


class BridgedDatabaseWrapper(DatabaseWrapper):
    """Django's wrapper over an async connection: of a task, or of whichever task asks.

    One that is made anew, as by ``copy()``, has a connection of its own until its task ends.
    """

    ops_class = Operations

    atomic_blocks = _Shared()
    autocommit = _Shared()
    close_at = _Shared()
    closed_in_transaction = _Shared()
    commit_on_exit = _Shared()
    connection = _Shared()
    errors_occurred = _Shared()
    execute_wrappers = _Shared()
    force_debug_cursor = _Shared()
    health_check_done = _Shared()
    health_check_enabled = _Shared()
    in_atomic_block = _Shared()
    needs_rollback = _Shared()
    queries_log = _Shared()
    rollback_exc = _Shared()
    run_commit_hooks_on_set_autocommit_on = _Shared()
    run_on_commit = _Shared()
    savepoint_ids = _Shared()
    savepoint_state = _Shared()
    timezone = _Shared()
    timezone_name = _Shared()

    chunked_cursor = _bridged(DatabaseWrapper.chunked_cursor)
    clean_savepoints = _bridged(DatabaseWrapper.clean_savepoints)
    close = _bridged(DatabaseWrapper.close)
    commit = _bridged(DatabaseWrapper.commit)
    cursor = _bridged(DatabaseWrapper.cursor)
    get_autocommit = _bridged(DatabaseWrapper.get_autocommit)
    rollback = _bridged(DatabaseWrapper.rollback)
    savepoint = _bridged(DatabaseWrapper.savepoint)
    savepoint_commit = _bridged(DatabaseWrapper.savepoint_commit)
    savepoint_rollback = _bridged(DatabaseWrapper.savepoint_rollback)
    _switch_autocommit = _bridged(DatabaseWrapper.set_autocommit)
    _connect = _bridged(DatabaseWrapper.connect)
    _ensure_connection = _bridged(DatabaseWrapper.ensure_connection)

    def __init__(self, settings_dict: dict[str, Any], alias: str) -> None:
        # Django's __init__ resets the shared attributes: let it do so to something of no account.
        self._fixed: Any = SimpleNamespace()
        super().__init__(settings_dict, alias)
        backend = load_backend(settings_dict["ENGINE"])
        self._fixed = task_connection(backend, settings_dict, alias)

    @classmethod
    def of_whoever_asks(cls, settings_dict: dict[str, Any], alias: str) -> Self:
        """Return one that is, in each task, over the task's connection."""
        wrapper = cls(settings_dict, alias)
        wrapper._fixed = None
        return wrapper

    def of(self, async_connection: Any) -> BridgedDatabaseWrapper:
        """Return the wrapper of one async connection, which shares what this one has."""
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
        """Connect if there is no connection. Its receivers of ``connection_created`` may query.

        In plain code of an event loop, do nothing: the next statement connects.
        """
        if bridge.active():
            if BaseDatabaseWrapper.ensure_connection is not _ensure_connection:
                # A test forbids to connect, or some databases: to Django, the bridge is its loop.
                with suppress(SynchronousOnlyOperation):
                    super().ensure_connection()
            self.async_connection.use()
            self._ensure_connection()
            if self.async_connection.is_zone_due:
                self.ensure_timezone()

    def connect(self) -> None:
        """Connect as Django does; what fails or is cancelled halfway leaves nothing behind."""
        try:
            self._connect()
        except BaseException:
            if self.connection is not None:
                self.async_connection.give_back()
            raise
        if isinstance(self.connection, AsyncConnection):
            self.connection.types = connection_created.types(self.alias)

    @_bridged
    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        """Do as Django, but do not connect for it at the end of a block that lost its connection.

        Nobody might be there to connect to, and what has ended the block is not to wait for that,
        nor to be replaced by its failure. The next statement connects.
        """
        connection = self.async_connection
        is_default = autocommit and self.settings_dict["AUTOCOMMIT"]
        is_begin_or_end = is_default and not connection.in_atomic_block
        if is_begin_or_end and connection.connection is None:
            connection.run_commit_hooks_on_set_autocommit_on = False
        elif (
            is_begin_or_end
            and connection.connection.autocommit
            and not connection.run_commit_hooks_on_set_autocommit_on
        ):
            # As one from the pool is: there is nothing to tell the driver.
            connection.autocommit = True
        else:
            self._switch_autocommit(autocommit, *args, **kwargs)

    def close_if_unusable_or_obsolete(self) -> None:
        """Do as Django on the bridge. Elsewhere, the end of the task does it."""
        if bridge.active():
            super().close_if_unusable_or_obsolete()

    def ensure_timezone(self) -> bool:
        """Tell the session the time zone of the settings, and return whether it had another.

        In plain code of an event loop, have the next statement do so, and return ``False``.
        """
        if self.connection is None:
            return False
        if not bridge.active():
            return bool(self.async_connection.expect_timezone())
        self.async_connection.is_zone_due = False
        return bool(bridge.await_(self.async_connection._configure_timezone(self.connection)))

    def get_connection_params(self) -> dict[str, Any]:
        """Return the driver's connection parameters: none, where the pool has connected."""
        if self.settings_dict["OPTIONS"].get("pool") and self.alias != NO_DB_ALIAS:
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
        """Return whether the connection answers."""
        usable: bool = bridge.await_(self.async_connection.is_usable())
        return usable

    def create_cursor(self, name: str | None = None) -> BridgedCursor:
        """Return a driver's cursor; a named one lives on the server."""
        cursor = self.async_connection.create_cursor(name)
        if name is None:
            return BridgedCursor(cursor)
        return ServerSideCursor(cursor, self.async_connection)

    @property
    def can_stream(self) -> bool:
        """Whether a result can be had in chunks: not by bindings on the server."""
        return streaming_cursor.is_possible() and not self.features.uses_server_side_binding

    def streaming_cursor(self, chunk_size: int) -> Any:
        """Return a cursor, wrapped as Django does, whose result arrives in chunks of rows.

        It is the one that ``cursor()`` gives, in the wrapper that a tool has put around that.
        """
        cursor = self.cursor()
        cursor.cursor = StreamingCursor(cursor.cursor._cursor, chunk_size)
        return cursor

    def validate_thread_sharing(self) -> None:
        """Refuse a connection of another thread."""
        self.async_connection.validate_thread_sharing()

    def on_commit(self, func: Callable[[], Any], robust: bool = False) -> None:
        """Call a function after the commit, on the bridge, whoever commits.

        What it returns is awaited if it can be. Where there is no transaction it is called at
        once: plain code in an event loop cannot await it then, and gets ``RuntimeError``.
        """
        if not callable(func) or bridge.active():
            super().on_commit(_CommitHook(func) if callable(func) else func, robust)
        elif self.in_atomic_block:
            self.run_on_commit.append((set(self.savepoint_ids), _CommitHook(func), robust))
        else:
            is_on = self.connection is None or self.autocommit
            at_once: Any = SimpleNamespace(in_atomic_block=False, get_autocommit=lambda: is_on)
            # Django names it where it logs what it raises.
            hook = update_wrapper(partial(self._call_at_once, func), func)
            DatabaseWrapper.on_commit(at_once, hook, robust)

    def _call_at_once(self, func: Callable[[], Any]) -> None:
        result = func()
        if not isawaitable(result):
            return
        if isinstance(result, Coroutine):
            result.close()
        raise RuntimeError(
            f"There is no transaction on {self.alias!r} whose commit {func!r} could wait for: "
            f"await it, or register it inside `async with async_atomic({self.alias!r}):`."
        )

    def _commit(self) -> None:
        self._end_transaction(self.async_connection._commit())

    def _rollback(self) -> None:
        self._end_transaction(self.async_connection._rollback())

    def _end_transaction(self, end: Coroutine[Any, Any, None]) -> None:
        """Await a commit or a rollback. If it is cancelled, have no transaction all the same.

        Django drops a connection where an ``Error`` is raised, which a cancellation is not.
        """
        try:
            bridge.await_(end)
        except asyncio.CancelledError:
            # They are not to be called by the next transaction.
            self.run_on_commit = []
            if self.connection.info.transaction_status != TransactionStatus.IDLE:
                self.async_connection.give_back()
                # So that Django does not connect again in order to set autocommit.
                self.closed_in_transaction = True
            raise

    def _close(self) -> None:
        bridge.await_(self.async_connection._close())

    def _set_autocommit(self, autocommit: bool) -> None:
        bridge.await_(self.async_connection._set_autocommit(autocommit))


class _CommitHook:
    """A function to be called after a commit: by Django on the bridge, or by the event loop."""

    def __init__(self, function: Callable[[], Any]) -> None:
        update_wrapper(self, function)
        self.function = function

    def __call__(self) -> Awaitable[None] | None:
        if not bridge.active():
            return bridge.run(self.call)
        self.call()
        return None

    def __repr__(self) -> str:
        return repr(self.function)

    def call(self) -> None:
        result = self.function()
        if isawaitable(result):
            bridge.await_(result)


class BridgedConnectionHandler(ConnectionHandler):
    """The class of ``django.db.connections``: it answers with async connections, too.

    On the bridge that is a matter of the greenlet that asks, so nothing is set that could outlive
    a switch to the event loop or leak to another task. ``DJANGO_ALLOW_ASYNC_UNSAFE`` has plain
    code in an event loop, as that of a notebook, use the sync connection.
    """

    def __getitem__(self, alias: str) -> Any:
        if bridge.active():
            return bridge.stand_in(alias) or bridged_connection(alias)
        if _is_in_event_loop():
            settings_dict = self.settings.get(alias)
            if settings_dict is not None and has_async_engine(settings_dict):
                return bridged_connection(alias)
        elif alias in async_connections.shared:
            # Of a test, whose transaction a thread is to be in, too.
            return async_connections.shared[alias].django
        return super().__getitem__(alias)

    def all(self, initialized_only: bool = False) -> list[Any]:
        """Return the connections, or those that there are already."""
        if initialized_only and (bridge.active() or _is_in_event_loop()):
            return [self[alias] for alias in self if async_connections.has(alias)]
        return list(super().all(initialized_only))


def _is_in_event_loop() -> bool:
    """Return whether plain code runs where Django refuses to wait for the database."""
    return _get_running_loop() is not None and not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")


# Called with a new task's wrapper, and with that of the task that has started it, or None.
heirs: list[Callable[[Any, Any], None]] = []


def bridged_connection(alias: str) -> BridgedDatabaseWrapper:
    """Return the running task's bridged connection for an alias.

    Raises ``ConnectionDoesNotExist`` for an unknown alias, and ``ImproperlyConfigured`` for one
    whose engine has no async connection.
    """
    shared = process_connection(alias)
    connection = async_connections[alias]
    if connection.bridged is None:
        connection.bridged = shared.of(connection)
        for inherit in heirs:
            inherit(connection.bridged, connection.bridged_parent)
    bridged: BridgedDatabaseWrapper = connection.bridged
    return bridged


@cache
def process_connection(alias: str) -> BridgedDatabaseWrapper:
    """Return the process's bridged connection for an alias."""
    if alias not in connections.settings:
        raise connections.exception_class(f"The connection '{alias}' doesn't exist.")
    settings_dict = connections.settings[alias]
    if not has_async_engine(settings_dict):
        raise ImproperlyConfigured(
            f"The database {alias!r} cannot be used from async code: its ENGINE is "
            f"{settings_dict['ENGINE']!r}, which has no async connection. Set it to {ENGINE!r}."
        )
    return BridgedDatabaseWrapper.of_whoever_asks(settings_dict, alias)


def has_async_engine(settings_dict: dict[str, Any]) -> bool:
    """Return whether the engine of a ``DATABASES`` entry has an async connection."""
    return _has_async_connection(settings_dict["ENGINE"])


@cache
def _has_async_connection(engine: str) -> bool:
    return hasattr(load_backend(engine), "AsyncDatabaseWrapper")


def forget_bridged_connections(*, setting: str, **kwargs: Any) -> None:
    """Receive ``setting_changed``: make anew what was made of the former settings."""
    if setting in {"DATABASES", "TIME_ZONE", "USE_TZ"}:
        process_connection.cache_clear()
