"""Async code that sync code calls by asgiref's ``async_to_sync()``: where its statements go.

Code on the bridge has an event loop: the coroutine is awaited there, on the task's connection.

A thread that is inside ``atomic()`` waits for an event loop of another thread. There, Django runs
the ``a*`` methods on the thread that waits, so they are in its transaction, and so they are here:
what would run on the bridge runs in the thread, on its sync connection. No second connection is
taken while the first one waits, and no lock of the transaction is waited for.

Outside of a transaction, the coroutine has an async connection as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from types import MappingProxyType
from typing import Any

from django.db import connections

from turbo_orm import bridge
from turbo_orm.backend.task_connections import async_connections, in_context

# The calling thread's sync connections, by alias.
_connections: ContextVar[Mapping[str, Any]] = ContextVar(
    "turbo_orm_calling_thread",
    default=MappingProxyType({}),
)


class InCallingThread:
    """Stands for a connection in ``in_context``: statements are executed by Django's cursor."""

    block = bridged = connection = None
    force_debug_cursor = True
    is_negligible = False
    owner = "the calling thread"

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def is_inside_block(self) -> bool:
        """Return ``False``: the block is the thread's."""
        return False


def connection(alias: str) -> Any:
    """Return the sync connection of the thread that has called the running code, or ``None``.

    It is one that the thread waits with, in a transaction, for a coroutine.
    """
    return _connections.get().get(alias)


def calling(asgirefs: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``AsyncToSync.__call__()``, which sees to the connections of what it calls."""

    @wraps(asgirefs)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        if bridge.active():
            return bridge.await_(self.awaitable(*args, **kwargs))
        with _lending_connections():
            return asgirefs(self, *args, **kwargs)

    return __call__


@contextmanager
def _lending_connections() -> Iterator[None]:
    """Have coroutines that are called in the block use the thread's sync connections.

    Do nothing unless the thread is in a transaction.
    """
    found = {each.alias: each for each in connections.all(initialized_only=True)}
    if not any(_is_in_transaction(each) for each in found.values()):
        lent: Mapping[str, Any] = {}
    else:
        lent = {alias: found.get(alias) or connections[alias] for alias in connections}
    if lent == _connections.get():
        yield
        return
    inherited = in_context.get()
    mine = {alias: InCallingThread(alias) for alias in lent} or {
        alias: each for alias, each in inherited.items() if not isinstance(each, InCallingThread)
    }
    with (
        _value(_connections, lent),
        _value(bridge.in_calling_thread, bool(lent)),
        _value(in_context, mine),
    ):
        yield


@contextmanager
def _value[T](variable: ContextVar[T], value: T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _is_in_transaction(connection: Any) -> bool:
    # That of a test serves async code, too.
    return connection.alias not in async_connections.shared and (
        connection.in_atomic_block
        or (connection.connection is not None and not connection.autocommit)
    )
