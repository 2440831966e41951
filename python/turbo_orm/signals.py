"""Async receivers of the signals that Django's sync code sends on the bridge.

``Signal.send()`` hands them to ``async_to_sync()``, which an event loop's own thread cannot use.
On the bridge they are awaited, one after the other: they share their task's connection.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from django.dispatch import dispatcher

from turbo_orm import bridge

_dispatcher: Any = dispatcher
_async_to_sync = _dispatcher.async_to_sync
# Django's since 6.1; until then it gathers tasks, of which only one may use a connection.
_run_parallel = getattr(_dispatcher, "_run_parallel", None)


def async_to_sync(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    """Return a sync function that awaits on the bridge, or as asgiref does elsewhere."""

    def awaited(*args: Any, **kwargs: Any) -> Any:
        if bridge.active():
            return bridge.await_(function(*args, **kwargs))
        return _async_to_sync(function)(*args, **kwargs)

    return awaited


async def run_parallel(*coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
    """Await receivers in turn on the bridge, and side by side elsewhere."""
    if not bridge.active() and _run_parallel is not None:
        results: list[Any] = await _run_parallel(*coroutines)
        return results
    try:
        return [await coroutine for coroutine in coroutines]
    finally:
        # What one raises keeps the others from being called.
        for coroutine in coroutines:
            coroutine.close()


def use_bridge() -> None:
    """Have Django's signals await their async receivers on the bridge."""
    _dispatcher.async_to_sync = async_to_sync
    if _run_parallel is not None:
        _dispatcher._run_parallel = run_parallel
