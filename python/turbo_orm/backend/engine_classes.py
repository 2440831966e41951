"""The class of bridged wrappers for an engine whose own wrapper derives from Django's.

It has what that wrapper has: features, operations, introspection, a schema editor, methods. A
method that the engine's async wrapper has as a coroutine function is awaited, in place of the one
that blocks. What gives cursors is the engine's: it may set the schema of each.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import load_backend

from turbo_orm import bridge
from turbo_orm.backend.base import BridgedDatabaseWrapper, blocking
from turbo_orm.backend.djangos_methods import refuse
from turbo_orm.backend.operations import OtherInserts
from turbo_orm.backend.sync_connections import OF_CURSORS, only_connects, own_names


@cache
def bridged_class(engine: str) -> type[BridgedDatabaseWrapper]:
    """Return the class of the bridged wrappers for an engine, by its name in ``DATABASES``."""
    backend: Any = load_backend(engine)
    wrapper, async_wrapper = backend.DatabaseWrapper, backend.AsyncDatabaseWrapper
    if not issubclass(wrapper, DatabaseWrapper) or only_connects(wrapper):
        return BridgedDatabaseWrapper
    awaited = {
        name: _awaiting(name, method)
        for name in own_names(wrapper) - vars(BridgedDatabaseWrapper).keys() - OF_CURSORS
        if inspect.iscoroutinefunction(method := getattr(async_wrapper, name, None))
    }
    operations = type("Operations", (OtherInserts, wrapper.ops_class), {})
    return type(
        BridgedDatabaseWrapper.__name__,
        (BridgedDatabaseWrapper, wrapper),
        {"__module__": engine, "ops_class": operations, **awaited, **_waiting(wrapper)},
    )


def _waiting(wrapper: type[DatabaseWrapper]) -> dict[str, Callable[..., Any]]:
    """Return the methods of an engine in whose place ``BridgedDatabaseWrapper`` has Django's."""
    own = own_names(wrapper) & OF_CURSORS
    return {name: _allowed(name, getattr(wrapper, name)) for name in own - {"create_cursor"}}


def _allowed(name: str, method: Any) -> Callable[..., Any]:
    """Return a method that calls the engine's on the bridge, and raises elsewhere."""

    @wraps(method)
    def waiting(self: BridgedDatabaseWrapper, *args: Any, **kwargs: Any) -> Any:
        if not bridge.active():
            refuse(self.alias, name)
        if "cursor" in name:
            self.ensure_connection()
        return bridge.allowed_to_wait(method, blocking(self), *args, **kwargs)

    return waiting


def _awaiting(name: str, method: Any) -> Callable[..., Any]:
    """Return a method that awaits that of the async connection."""

    @wraps(method)
    def awaiting(self: BridgedDatabaseWrapper, *args: Any, **kwargs: Any) -> Any:
        return bridge.await_(getattr(self.async_connection, name)(*args, **kwargs))

    return awaiting
