"""The state of Django's wrapper, kept on another wrapper.

Two wrappers of one connection, Django's and django-async-backend's, have the same attributes for
transactions, savepoints, the query log and hooks. One of the two keeps them, and the other has
``Delegated`` descriptors: on the bridge django-async-backend's keeps them (**base**), in a test
that shares its connection Django's does (**shared_connection**).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

#: All that changes with a connection, but for the driver connection itself.
STATE = (
    "atomic_blocks",
    "autocommit",
    "close_at",
    "closed_in_transaction",
    "commit_on_exit",
    "errors_occurred",
    "execute_wrappers",
    "force_debug_cursor",
    "health_check_done",
    "health_check_enabled",
    "in_atomic_block",
    "needs_rollback",
    "queries_log",
    "rollback_exc",
    "run_commit_hooks_on_set_autocommit_on",
    "run_on_commit",
    "savepoint_ids",
    "savepoint_state",
    "timezone",
    "timezone_name",
)


class Delegated:
    """An attribute that another wrapper keeps: the one that ``keeper`` names."""

    def __init__(self, keeper: str, name: str) -> None:
        self.keeper = keeper
        self.name = name

    def __get__(self, wrapper: Any, owner: type) -> Any:
        return getattr(getattr(wrapper, self.keeper), self.name)

    def __set__(self, wrapper: Any, value: Any) -> None:
        setattr(getattr(wrapper, self.keeper), self.name, value)

    def __delete__(self, wrapper: Any) -> None:
        delattr(getattr(wrapper, self.keeper), self.name)


def delegates[C: type](keeper: str, names: Iterable[str] = STATE) -> Callable[[C], C]:
    """Return a class decorator that has the wrapper in an attribute keep others by name."""

    def decorate(cls: C) -> C:
        for name in names:
            setattr(cls, name, Delegated(keeper, name))
        return cls

    return decorate
