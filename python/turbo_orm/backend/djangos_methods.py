"""Methods of Django's wrapper that wait for the server, as they are called on the bridge.

Django checks in each that no event loop runs. Its own are called without the check. One that a
tool or a test has put in the place of Django's, whenever it has, is called as it is: it calls
Django's in turn, whose check is told that the bridge may wait.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, NoReturn

from django.core.exceptions import SynchronousOnlyOperation
from django.db.backends.postgresql.base import DatabaseWrapper
from django.utils import asyncio

from turbo_orm import bridge
from turbo_orm.backend import blocking_code
from turbo_orm.backend.cursors import BridgedCursor
from turbo_orm.bridge.replaced_methods import has_injected_code


def bridged(name: str) -> Callable[..., Any]:
    """Return a method that calls Django's of a name on the bridge, and raises elsewhere."""
    seen = getattr(DatabaseWrapper, name)
    unchecked = _unchecked(seen)
    code = getattr(seen, "__code__", None)

    @wraps(unchecked or getattr(seen, "__wrapped__", seen))
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not bridge.active():
            refuse(self.alias, name)
        current = getattr(DatabaseWrapper, name)
        if current is seen and unchecked is not None and seen.__code__ is code:
            return unchecked(self, *args, **kwargs)
        return bridge.allowed_to_wait(current, self, *args, **kwargs)

    return method


def refuse(alias: str, name: str) -> NoReturn:
    """Raise for a method of Django's wrapper that is called where it cannot wait."""
    raise SynchronousOnlyOperation(blocking_code.refusal(name, alias))


def _unchecked(method: Any) -> Callable[..., Any] | None:
    """Return what ``async_unsafe`` has decorated, the method if it was not, or ``None``.

    That is, where the method is another package's.
    """
    if type(method) is not FunctionType or has_injected_code(method):
        return None
    if method.__globals__ is vars(asyncio):
        unchecked: Callable[..., Any] = method.__wrapped__  # type: ignore[attr-defined]
        return unchecked
    return method if method.__globals__["__name__"].startswith("django.") else None


def checking_but_on_bridge(get_running_loop: Callable[[], Any]) -> Callable[[], Any]:
    """Return what Django's check calls, to find no event loop where the bridge may wait."""

    @wraps(get_running_loop)
    def checked() -> Any:
        if bridge.may_wait():
            raise RuntimeError("What is called here awaits, on the bridge.")
        return get_running_loop()

    return checked


class BlockingConnection:
    """The driver's async connection with a plain ``commit()``, ``rollback()`` and cursors."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        bridge.await_(self._connection.commit())

    def rollback(self) -> None:
        bridge.await_(self._connection.rollback())

    def cursor(self, *args: Any, **kwargs: Any) -> BridgedCursor:
        return BridgedCursor(self._connection.cursor(*args, **kwargs))
