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
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.utils import ConnectionHandler, load_backend

from turbo_orm import bridge
from turbo_orm.backend.base import BridgedDatabaseWrapper
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.backend.unconnected import unconnected

ENGINE = "django_async_backend.db.backends.postgresql"

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
            settings_dict = self.settings.get(alias)
            if settings_dict is not None and has_async_engine(settings_dict):
                if async_connections.has(alias):
                    return bridged_connection(alias)
                return unconnected(process_connection(alias), partial(bridged_connection, alias))
        elif alias in async_connections.shared:
            # Of a test, in whose transaction a thread is to be, too.
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


def bridged_connection(alias: str) -> BridgedDatabaseWrapper:
    """Return the running task's bridged connection for an alias.

    Raises ``ConnectionDoesNotExist`` for an unknown alias, and ``ImproperlyConfigured`` for one
    whose engine has no async connection.
    """
    shared = process_connection(alias)
    connection = async_connections[alias]
    if connection.bridged is None:
        connection.bridged = shared.of(connection)
        for inherit in inherit_hooks:
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
    return BridgedDatabaseWrapper.of_running_task(settings_dict, alias)


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
