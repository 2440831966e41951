"""Async receivers of the signals that Django's sync code sends on the bridge.

``Signal.send()`` hands them to ``async_to_sync()``, which an event loop's own thread cannot use.
On the bridge they are awaited, one after the other: they share their task's connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import SimpleNamespace
from typing import Any

from django.dispatch import dispatcher

from turbo_orm import bridge, hops

_dispatcher: Any = dispatcher
_async_to_sync = _dispatcher.async_to_sync
# Django's since 6.1; until then it gathers tasks, the sync receivers of asend() among them.
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
    return await _Turns(*coroutines)


def gather(*awaitables: Any) -> Awaitable[list[Any]]:
    """Await receivers in turn on the bridge, or where sync receivers are called on it."""
    if bridge.active() or hops.redirects_everything():
        return _Turns(*awaitables)
    return asyncio.gather(*awaitables)


class _Turns:
    """Coroutines, and turns within turns, that are awaited one after the other."""

    def __init__(self, *coroutines: Any) -> None:
        self._coroutines = coroutines

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._take().__await__()

    async def _take(self) -> list[Any]:
        try:
            return [await coroutine for coroutine in self._coroutines]
        finally:
            self.close()

    def close(self) -> None:
        # What one raises keeps the others from being called.
        for coroutine in self._coroutines:
            coroutine.close()


def use_bridge() -> None:
    """Have Django's signals await their async receivers on the bridge."""
    _dispatcher.async_to_sync = async_to_sync
    if _run_parallel is not None:
        _dispatcher._run_parallel = run_parallel
    else:
        # It is all that Django uses of asyncio there.
        _dispatcher.asyncio = SimpleNamespace(gather=gather)
