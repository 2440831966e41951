"""Django's sync connections: those of plain code, which runs on no bridge and in no event loop."""

from __future__ import annotations

from asyncio import _get_running_loop
from functools import cache
from typing import Any

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import load_backend

from turbo_orm import bridge

# What an engine may have of its own without that its statements or their results are others.
_OF_CONNECTING = {"get_connection_params", "get_new_connection", "init_connection_state"}

#: What a statement goes through, or what begins and ends a transaction.
OF_CURSORS = {
    *("_cursor", "_prepare_cursor", "chunked_cursor", "create_cursor", "cursor"),
    *("make_cursor", "make_debug_cursor", "validate_no_broken_transaction"),
    *("close", "commit", "rollback", "savepoint_commit", "savepoint_rollback"),
}

# The modules of the classes that the wrapper of turbo_orm.backends.postgis has before Django's.
_POSTGIS = {"django.contrib.gis.db.backends.postgis.base", "turbo_orm.backends.postgis.base"}


def are_used() -> bool:
    """Return whether the running code waits for the database on them."""
    return _get_running_loop() is None and not bridge.active()


def readable(alias: str) -> Any:
    """Return the connection of an alias if results of its cursors can be read, or ``None``.

    They cannot where a tool or a test has put a function of its own in the place of ``cursor()``.
    An engine of its own may write other statements, and so does Django for binding on the server.
    """
    connection: Any = connections[alias]
    if (
        _is_djangos(connection.__class__)
        and "cursor" not in connection.__dict__
        and not connection.features.uses_server_side_binding
    ):
        return connection
    return None


@cache
def _is_djangos(wrapper: type) -> bool:
    """Return whether a class of wrappers is Django's for PostgreSQL, but for how it connects.

    Or Django's for PostGIS, with this package's operations, by which statements are cached, too.
    """
    if not issubclass(wrapper, DatabaseWrapper):
        return False
    return only_connects(wrapper) or all(each.__module__ in _POSTGIS for each in derived(wrapper))


def only_connects(wrapper: type[DatabaseWrapper]) -> bool:
    """Return whether a class of wrappers is Django's for PostgreSQL, but for how it connects."""
    return own_names(wrapper) <= _OF_CONNECTING


@cache
def has_own_cursor(engine: str) -> bool:
    """Return whether an engine's wrapper does something with each cursor, or transaction.

    It may set the schema of a tenant. So no statement goes past it.
    """
    wrapper = load_backend(engine).DatabaseWrapper
    return issubclass(wrapper, DatabaseWrapper) and not own_names(wrapper).isdisjoint(OF_CURSORS)


def own_names(wrapper: type[DatabaseWrapper]) -> set[str]:
    """Return the names that a class of wrappers has, or has otherwise than Django's."""
    return {name for each in derived(wrapper) for name in vars(each) if not name.startswith("__")}


def derived(wrapper: type[DatabaseWrapper]) -> tuple[type, ...]:
    """Return the classes between Django's wrapper for PostgreSQL and one of its subclasses."""
    return wrapper.__mro__[: wrapper.__mro__.index(DatabaseWrapper)]


def is_in_transaction(alias: str) -> bool:
    """Return whether the connection of an alias is in a transaction, or would begin one."""
    connection = connections[alias]
    is_connected = connection.connection is not None
    return connection.in_atomic_block or (is_connected and not connection.autocommit)
