"""Django's sync connections: those of plain code, which runs on no bridge and in no event loop."""

from __future__ import annotations

from asyncio import _get_running_loop
from functools import cache
from typing import Any

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from turbo_orm import bridge

# What an engine may have of its own without that its statements or their results are others.
_OF_CONNECTING = {"get_connection_params", "get_new_connection", "init_connection_state"}


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
    """Return whether a class of wrappers is Django's for PostgreSQL, but for how it connects."""
    if not issubclass(wrapper, DatabaseWrapper):
        return False
    derived = wrapper.__mro__[: wrapper.__mro__.index(DatabaseWrapper)]
    own = {name for each in derived for name in vars(each) if not name.startswith("__")}
    return own <= _OF_CONNECTING


def is_in_transaction(alias: str) -> bool:
    """Return whether the connection of an alias is in a transaction, or would begin one."""
    connection = connections[alias]
    is_connected = connection.connection is not None
    return connection.in_atomic_block or (is_connected and not connection.autocommit)
