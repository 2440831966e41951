"""What plain code of an event loop sees of a database before its task has used it.

Code looks at ``connection.vendor``, ``connection.features`` or ``connection.queries`` while it is
imported, which a server may do in its event loop. That makes no connection of the task: each task
that is started later, as that of a websocket, would inherit the log of its queries.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from turbo_orm.backend.base import BridgedDatabaseWrapper
from turbo_orm.backend.delegation import STATE, Delegated

# What code may change in place: to read it is to use it.
_MUTABLE = frozenset({"atomic_blocks", "execute_wrappers", "run_on_commit", "savepoint_ids"})


class _Initial(Delegated):
    """An attribute that is as Django initializes it, until there is a connection."""

    def __get__(self, wrapper: Any, owner: type) -> Any:
        if not hasattr(wrapper.initial, self.name):
            return super().__get__(wrapper, owner)
        return copy(getattr(wrapper.initial, self.name))


class UnconnectedDatabaseWrapper(BridgedDatabaseWrapper):
    """The wrapper of a task that has no connection.

    It becomes that of the task's connection once it is used: where an attribute is assigned, or
    one is read that may be changed in place, or a method is called that needs a connection.
    """

    # Returns the wrapper of the task's connection, and makes it.
    connected: Callable[[], BridgedDatabaseWrapper]

    @property
    def async_connection(self) -> Any:
        """django-async-backend's wrapper, of the connection that the task has from now on."""
        return self._become_connected().async_connection

    def _become_connected(self) -> BridgedDatabaseWrapper:
        wrapper = self.connected()
        # This may not be the only one that the task has looked at: they are the same from now on.
        object.__setattr__(self, "__dict__", wrapper.__dict__)
        object.__setattr__(self, "__class__", type(wrapper))
        return wrapper

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._become_connected(), name, value)

    def copy(self, alias: str | None = None) -> Any:
        """Return a wrapper over a connection of its own."""
        return self._become_connected().copy(alias)


for _name in {*STATE, "connection"} - _MUTABLE:
    setattr(UnconnectedDatabaseWrapper, _name, _Initial("async_connection", _name))


def unconnected(
    process_wide: BridgedDatabaseWrapper, connected: Callable[[], BridgedDatabaseWrapper]
) -> UnconnectedDatabaseWrapper:
    """Return a wrapper that becomes another, which a function returns, once it is used."""
    wrapper = object.__new__(UnconnectedDatabaseWrapper)
    wrapper.__dict__.update(process_wide.__dict__, connected=connected)
    return wrapper
