"""``django.db.connections`` in an event loop: which wrapper it answers with.

On the bridge and in plain code of an event loop that is the running task's
``BridgedDatabaseWrapper`` (**base**), over its connection (**task_connections**); plain code can
look at one before there is a connection (**unconnected**). What does not
change (features, operations, settings) all of them share with the process's one wrapper for the
alias, so that it is made in no time and finds warm caches.
"""

from __future__ import annotations

import os
from asyncio import _get_running_loop
from collections.abc import Callable
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

from asgiref.sync import SyncToAsync
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.transaction import TransactionManagementError
from django.db.utils import ConnectionHandler, load_backend

from turbo_orm import bridge
from turbo_orm.backend import calling_thread, instrumentation, writes
from turbo_orm.backend.base import BridgedDatabaseWrapper
from turbo_orm.backend.connection_state import Block
from turbo_orm.backend.engine_classes import bridged_class
from turbo_orm.backend.task_connections import async_connections, in_context, is_in_test
from turbo_orm.backend.unconnected import unconnected
from turbo_orm.backends.postgresql.base import AsyncDatabaseWrapper
from turbo_orm.backends.postgresql.pool import given_options, pool_options
from turbo_orm.bridge.replaced_methods import is_own

ENGINE = "turbo_orm.backends.postgresql"
POSTGIS = "turbo_orm.backends.postgis"

# Called with the wrapper of a task that uses its connection for the first time, and with that of
# the task that has started it, or None.
inherit_hooks: list[Callable[[Any, Any], None]] = []


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
            if (lent := calling_thread.connection(alias)) is not None:
                return lent
            settings_dict = self.settings.get(alias)
            if settings_dict is not None and has_async_engine(settings_dict):
                if async_connections.has(alias):
                    return bridged_connection(alias)
                return unconnected(process_connection(alias), partial(bridged_connection, alias))
        elif alias in async_connections.shared and _was_started_by_test():
            # A test's, in whose transaction the thread is to be, too.
            return async_connections.shared[alias].django
        connection = super().__getitem__(alias)
        # A thread that was started by a task has the task's context.
        inherited = in_context.get().get(alias)
        if inherited is not None and inherited.is_inside_block():
            return _refusing(connection, inherited.block)
        return connection

    def create_connection(self, alias: str) -> Any:
        """Return a new sync connection. Routers that read from replicas are told of its writes."""
        connection = super().create_connection(alias)
        writes.follow(connection)
        return connection

    def all(self, initialized_only: bool = False) -> list[Any]:
        """Return the connections, or those that there are already."""
        if initialized_only and (bridge.active() or _is_in_event_loop()):
            return [
                self[alias]
                for alias in self
                if calling_thread.connection(alias) or async_connections.has(alias)
            ]
        return list(super().all(initialized_only))


def _refusing(connection: Any, block: Block) -> Any:
    """Return a sync connection like this one, which raises instead of connecting.

    What a thread writes while its task is in a block would be committed at once, it would see
    nothing of the block, and might wait for ever for a lock that the block holds.
    """

    def refuse() -> None:
        raise TransactionManagementError(
            f"A {block.what} on {connection.alias!r} is open in {block.task} ({block.where}), and "
            f"this code runs in a thread that was started inside it: it would be on another "
            f"connection, see nothing of the block, and commit at once. Call it by "
            f"`await turbo_orm.run_sync(function)` in place of a thread, or outside of the block. "
            f"If it is a method of Django's, give the model an AsyncManager, or remove "
            f'"PATCH_DJANGO": False from TURBO_ORM.'
        )

    refusing = connection.copy()
    refusing.connect = refusing.ensure_connection = refuse
    return refusing


def _was_started_by_test() -> bool:
    """Return whether the thread is the test's, or calls what a task has sent to it.

    asgiref says the latter of its threads: a task's context may be older than the test.
    """
    return is_in_test.get() or hasattr(SyncToAsync.threadlocal, "main_event_loop")


def _is_in_event_loop() -> bool:
    """Return whether plain code runs where Django refuses to wait for the database."""
    return _get_running_loop() is not None and not may_block_event_loop()


def may_block_event_loop() -> bool:
    """Return whether Django is told to let code in an event loop wait for the database."""
    return bool(os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"))


def bridged_connection(alias: str) -> BridgedDatabaseWrapper:
    """Return the running task's bridged connection for an alias.

    Raises ``ConnectionDoesNotExist`` for an unknown alias, and ``ImproperlyConfigured`` for one
    whose engine has no async connection.
    """
    shared = process_connection(alias)
    connection = async_connections[alias]
    if connection.bridged is None:
        connection.bridged = _seen_by_tools(alias, shared.of(connection))
        for inherit in inherit_hooks:
            inherit(connection.bridged, connection.bridged_parent)
    bridged: BridgedDatabaseWrapper = connection.bridged
    return bridged


def _seen_by_tools(alias: str, bridged: BridgedDatabaseWrapper) -> BridgedDatabaseWrapper:
    """Return a wrapper as Django's handler gives it.

    A tool that has replaced the handler's method (ddtrace) wraps methods of what it returns.
    """
    if instrumentation.found == "" or is_own(ConnectionHandler.__getitem__):
        return bridged
    handler: Any = object.__new__(ConnectionHandler)
    handler._connections = SimpleNamespace(**{alias: bridged})
    seen: BridgedDatabaseWrapper = handler[alias]
    return seen


@cache
def process_connection(alias: str) -> BridgedDatabaseWrapper:
    """Return the process's bridged connection for an alias."""
    if alias not in connections.settings:
        raise connections.exception_class(f"The connection '{alias}' doesn't exist.")
    settings_dict = connections.settings[alias]
    if not has_async_engine(settings_dict):
        raise ImproperlyConfigured(
            f"The database {alias!r} cannot be used from async code: its ENGINE is "
            f"{settings_dict['ENGINE']!r}, which has no async connection. Set it to "
            f"{suggested_engine(settings_dict)!r}, or call the code in a thread, by asgiref's "
            f"sync_to_async()."
        )
    wrapper_class = bridged_class(settings_dict["ENGINE"])
    return wrapper_class.of_running_task(settings_dict, alias)


def suggested_engine(settings_dict: dict[str, Any]) -> str:
    """Return the engine of this package that takes the place of that of a ``DATABASES`` entry."""
    return POSTGIS if settings_dict["ENGINE"].endswith(".postgis") else ENGINE


def has_async_engine(settings_dict: dict[str, Any]) -> bool:
    """Return whether the engine of a ``DATABASES`` entry has an async connection."""
    return _is_async(settings_dict["ENGINE"])


def has_async_connection(alias: str) -> bool:
    """Return whether the database of an alias has one, which is in the settings."""
    return has_async_engine(connections.settings[alias])


def async_pool_options(settings_dict: dict[str, Any]) -> dict[str, Any] | None:
    """Return the options of the pool that async code has with an engine, or ``None``."""
    wrapper = load_backend(settings_dict["ENGINE"]).AsyncDatabaseWrapper
    is_ours = issubclass(wrapper, AsyncDatabaseWrapper)
    return pool_options(settings_dict) if is_ours else given_options(settings_dict)


@cache
def _is_async(engine: str) -> bool:
    return hasattr(load_backend(engine), "AsyncDatabaseWrapper")


def forget_bridged_connections(*, setting: str, **kwargs: Any) -> None:
    """Receive ``setting_changed``: make anew what was made of the former settings."""
    if setting in {"DATABASES", "TIME_ZONE", "USE_TZ"}:
        process_connection.cache_clear()
