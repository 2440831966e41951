"""The database connection that Django's sync code sees on the bridge.

``BridgedDatabaseWrapper`` is Django's own PostgreSQL wrapper whose driver connection is the async
one of django-async-backend: whatever waits for the server goes through ``bridge.await_()``, and
all that changes with a connection (transaction state, query log, the driver's connection) is
kept on django-async-backend's wrapper alone, so that ``async_atomic`` outside and ``atomic``
inside are one transaction.

There is one such wrapper for each alias in a process; which connection it stands for depends on
the task that asks, as it does in ``async_connections``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache, cached_property, update_wrapper
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import ConnectionHandler, load_backend
from django_async_backend.db import async_connections

from turbo_orm import bridge, streaming
from turbo_orm.cursor import BridgedCursor
from turbo_orm.streaming import StreamingCursor

ENGINE = "django_async_backend.db.backends.postgresql"


class _Shared:
    """An attribute that is kept on django-async-backend's wrapper of the current task."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, wrapper: BridgedDatabaseWrapper, owner: type) -> Any:
        return getattr(wrapper.async_connection, self.name)

    def __set__(self, wrapper: BridgedDatabaseWrapper, value: Any) -> None:
        # A task that has inherited another's connection must not break its transaction.
        wrapper.validate_thread_sharing()
        setattr(wrapper.async_connection, self.name, value)


def _guarded(name: str) -> Any:
    """Return a method of Django's wrapper without its check for a running event loop."""
    return getattr(DatabaseWrapper, name).__wrapped__


class BridgedDatabaseWrapper(DatabaseWrapper):
    """Django's wrapper over the async connection of the current task."""

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

    chunked_cursor = _guarded("chunked_cursor")
    clean_savepoints = _guarded("clean_savepoints")
    close = _guarded("close")
    commit = _guarded("commit")
    cursor = _guarded("cursor")
    rollback = _guarded("rollback")
    savepoint = _guarded("savepoint")
    savepoint_commit = _guarded("savepoint_commit")
    savepoint_rollback = _guarded("savepoint_rollback")

    def __init__(self, settings_dict: dict[str, Any], alias: str) -> None:
        # Django's __init__ resets the shared attributes: let it do so to something of no account.
        self._initial: SimpleNamespace | None = SimpleNamespace(
            validate_thread_sharing=lambda: None
        )
        super().__init__(settings_dict, alias)
        self._initial = None

    @property
    def async_connection(self) -> Any:
        """django-async-backend's wrapper of the current task."""
        return self._initial or async_connections[self.alias]

    @cached_property
    def pg_version(self) -> int:
        """The server's version, asked for once in a process."""
        self.ensure_connection()
        version: int = self.connection.info.server_version
        return version

    def ensure_connection(self) -> None:
        """Connect if there is no connection. Its receivers of ``connection_created`` may query."""
        if self.connection is None:
            self.validate_thread_sharing()
            with self.wrap_database_errors:
                self.connect()

    def connect(self) -> None:
        """Connect as Django does; what fails or is cancelled halfway leaves nothing behind."""
        try:
            _guarded("connect")(self)
        except BaseException:
            if self.connection is not None:
                self.close()
            raise

    def get_connection_params(self) -> dict[str, Any]:
        """Return the driver's connection parameters, those of the async connection."""
        params: dict[str, Any] = self.async_connection.get_connection_params()
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a new connection of the driver, or one of the pool."""
        return bridge.await_(self.async_connection.get_new_connection(conn_params))

    def init_connection_state(self) -> None:
        """Check the server's version, and set time zone and role."""
        bridge.await_(self.async_connection.init_connection_state())

    def discard_closed_connection(self) -> None:
        """Let go of a connection that is closed, unless a transaction is lost with it.

        psycopg closes a connection whose running statement it could not cancel.
        """
        if self.connection is not None and self.connection.closed and not self.in_atomic_block:
            self.close()

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
        return BridgedCursor(self.async_connection.create_cursor(name), self._await)

    @property
    def can_stream(self) -> bool:
        """Whether a result can be had in chunks: not by bindings on the server."""
        return streaming.is_possible() and not self.features.uses_server_side_binding

    def streaming_cursor(self, chunk_size: int) -> Any:
        """Return a cursor, wrapped as Django does, whose result arrives in chunks of rows."""
        self.close_if_health_check_failed()
        self.ensure_connection()
        with self.wrap_database_errors:
            cursor = self.async_connection.create_cursor()
            streaming_cursor = StreamingCursor(cursor, self._await, chunk_size)
            return self._prepare_cursor(streaming_cursor)  # type: ignore[attr-defined]

    def validate_thread_sharing(self) -> None:
        """Refuse a connection of another thread or, where it is known, of another task."""
        self.async_connection.validate_thread_sharing()
        # django-async-backend knows a connection's task since 6.1.
        if validate_task_sharing := getattr(self.async_connection, "validate_task_sharing", None):
            validate_task_sharing()

    def on_commit(self, func: Callable[[], Any], robust: bool = False) -> None:
        """Call a function after the commit, on the bridge, whoever commits."""
        super().on_commit(_CommitHook(func) if callable(func) else func, robust)

    def _await[R](self, awaitable: Awaitable[R]) -> R:
        try:
            return bridge.await_(awaitable)
        except asyncio.CancelledError:
            self.discard_closed_connection()
            raise

    def _commit(self) -> None:
        self._await(self.async_connection._commit())

    def _rollback(self) -> None:
        self._await(self.async_connection._rollback())

    def _close(self) -> None:
        bridge.await_(self.async_connection._close())

    def _set_autocommit(self, autocommit: bool) -> None:
        self._await(self.async_connection._set_autocommit(autocommit))


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

    def call(self) -> None:
        result = self.function()
        if isawaitable(result):
            bridge.await_(result)


class BridgedConnectionHandler(ConnectionHandler):
    """``django.db.connections``, which answers with the bridged connection on the bridge.

    That is a matter of the greenlet that asks, so nothing is set that could outlive a switch to
    the event loop or leak to another task.
    """

    def __getitem__(self, alias: str) -> Any:
        if bridge.active():
            return bridged_connection(alias)
        return super().__getitem__(alias)


@cache
def bridged_connection(alias: str) -> BridgedDatabaseWrapper:
    """Return the process's bridged connection for an alias.

    Raises ``ConnectionDoesNotExist`` for an unknown alias, and ``ImproperlyConfigured`` for one
    whose engine has no async connection.
    """
    if alias not in connections.settings:
        raise connections.exception_class(f"The connection '{alias}' doesn't exist.")
    settings_dict = connections.settings[alias]
    if not has_async_engine(settings_dict):
        raise ImproperlyConfigured(
            f"The database {alias!r} cannot be used from async code: its ENGINE is "
            f"{settings_dict['ENGINE']!r}, which has no async connection. Set it to {ENGINE!r}."
        )
    return BridgedDatabaseWrapper(settings_dict, alias)


def has_async_engine(settings_dict: dict[str, Any]) -> bool:
    """Return whether the engine of a ``DATABASES`` entry has an async connection."""
    return hasattr(load_backend(settings_dict["ENGINE"]), "AsyncDatabaseWrapper")


def _forget_bridged_connections(*, setting: str, **kwargs: Any) -> None:
    if setting in {"DATABASES", "TIME_ZONE", "USE_TZ"}:
        bridged_connection.cache_clear()


setting_changed.connect(_forget_bridged_connections)
# The handler has no state of its own: the connections that exist already stay.
connections.__class__ = BridgedConnectionHandler
