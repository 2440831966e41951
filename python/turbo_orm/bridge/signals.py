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

from turbo_orm import bridge
from turbo_orm.bridge import sync_to_async

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
    """Await receivers in turn where they share a connection, and side by side elsewhere."""
    if _are_to_share() or _run_parallel is None:
        return await _Turns(*coroutines)
    results: list[Any] = await _run_parallel(*coroutines)
    return results


def gather(*awaitables: Any) -> Awaitable[list[Any]]:
    """Do what ``run_parallel()`` does, for sync receivers, too."""
    return _Turns(*awaitables) if _are_to_share() else asyncio.gather(*awaitables)


def _are_to_share() -> bool:
    # Where Django is patched, asend() has the sync receivers called in the task that awaits it:
    # the async ones are to be in its transaction, too.
    return bridge.active() or sync_to_async.redirects_everything()


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
