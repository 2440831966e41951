"""Where work that takes long, or must be done whole, gives the event loop its turns, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from time import perf_counter
from typing import Any

from turbo_orm.bridge.greenlets import active, await_


class WithoutCheckpoints:
    """Awaits without the checkpoints, as ``sleep(0)`` is, of an awaitable that need not wait.

    For what has to be done whole: a task that is cancelled at a checkpoint behind the last step
    gets ``CancelledError`` from an awaitable that has done all its work. Futures are awaited, and
    can be cancelled, as ever.
    """

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable = awaitable

    def __await__(self) -> Generator[Any, None, Any]:
        steps = self.awaitable.__await__()
        try:
            waits_for = next(steps)
            while True:
                if waits_for is None:
                    waits_for = next(steps)
                    continue
                try:
                    yield waits_for
                except BaseException as exc:
                    waits_for = steps.throw(exc)
                else:
                    waits_for = next(steps)
        except StopIteration as stop:
            return stop.value


class Checkpoints:
    """Has long work on the bridge yield to the event loop, for its other tasks."""

    # Seconds from one to the next. One takes about 20 µs: one percent of the work's time.
    INTERVAL = 0.002

    def __init__(self) -> None:
        self._last = perf_counter()

    def maybe_yield(self) -> None:
        """Yield to the event loop if it is due. Do nothing where there is no bridge."""
        if active() and perf_counter() - self._last >= self.INTERVAL:
            await_(asyncio.sleep(0))
            self._last = perf_counter()
