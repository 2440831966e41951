"""What is done when an event loop is closed without being shut down.

``asyncio.run()`` cancels all tasks before it closes the loop, and each has time to close what it
has opened. ``loop.close()`` alone, as Celery's tasks and tests call it, does not: what waits on
the loop never goes on. So connections are closed then without waiting, and what waits is dropped
while the loop can still be told of it.

All of that is kept by the loop itself, and so goes with a loop that is never closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakSet

_NAME = "turbo_orm_closing"


class LoopClosing:
    """The connections that are open on an event loop, and functions to be called at its close."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.connections: WeakSet[Any] = WeakSet()
        self.before: list[Callable[[], None]] = []
        close = loop.close

        def close_all_then_close() -> None:
            if not loop.is_running() and not loop.is_closed():
                self._close_all()
            close()

        setattr(loop, _NAME, self)
        loop.close = close_all_then_close  # type: ignore[method-assign]

    def _close_all(self) -> None:
        for function in self.before:
            function()
        for connection in [*self.connections]:
            connection.finish()


def of_running_loop() -> LoopClosing:
    """Return what the running event loop keeps."""
    loop = asyncio.get_running_loop()
    found = getattr(loop, _NAME, None)
    return found if found is not None else LoopClosing(loop)


def drop(task: asyncio.Task[Any]) -> None:
    """End a task whose loop does not run any more: its ``finally`` blocks run, up to an await."""
    # Otherwise asyncio would complain of what is right.
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine: Any = task.get_coro()
    with suppress(RuntimeError):
        # One that awaits in the meantime says that it has ignored the end.
        task.get_context().run(coroutine.close)
