"""Async receivers of the signals that are sent on the bridge or in a transaction.

They are awaited one after the other, since they share their task's connection. Elsewhere Django
runs them side by side.

``turbo_orm.patches`` puts them in the place of what ``django.dispatch.dispatcher`` uses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import SimpleNamespace
from typing import Any

from turbo_orm import bridge

type AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]


def one_after_the_other(run_parallel: AsyncFunction) -> AsyncFunction:
    """Return Django's function that awaits receivers, to do so in order where they share.

    Django has it since 6.1.
    """

    async def run_in_order_or_parallel(*coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
        if _share_a_connection():
            return await _InOrder(*coroutines)
        results: list[Any] = await run_parallel(*coroutines)
        return results

    return run_in_order_or_parallel


def _gather(*awaitables: Any) -> Awaitable[list[Any]]:
    return _InOrder(*awaitables) if _share_a_connection() else asyncio.gather(*awaitables)


#: What the dispatcher of Django before 6.1 uses of the module ``asyncio``. It gathers the sync
#: receivers of ``asend()`` with the async ones.
ASYNCIO = SimpleNamespace(gather=_gather)


_conditions: list[Callable[[], bool]] = []


def await_in_order_where(condition: Callable[[], bool]) -> None:
    """Have async receivers awaited in order where a condition holds: in a transaction."""
    _conditions.append(condition)


def _share_a_connection() -> bool:
    return (
        bridge.active()
        or bridge.in_calling_thread.get() is not None
        or any(condition() for condition in _conditions)
    )


class _InOrder:
    """Coroutines, and other such sequences, that are awaited one after the other."""

    def __init__(self, *coroutines: Any) -> None:
        self._coroutines = coroutines

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._await_each().__await__()

    async def _await_each(self) -> list[Any]:
        try:
            return [await coroutine for coroutine in self._coroutines]
        finally:
            self.close()

    def close(self) -> None:
        """Close those that were not awaited, since one before them has raised."""
        for coroutine in self._coroutines:
            coroutine.close()
