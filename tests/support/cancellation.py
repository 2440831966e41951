"""Cancels a coroutine where it waits: at the n-th of its switches to the event loop."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

type Way = Callable[[asyncio.Task[Any], Any], object]


def at_once(task: asyncio.Task[Any], awaited: Any) -> None:
    """Cancel a task that waits, in the next turn of the loop."""
    task.get_loop().call_soon(task.cancel)


def too_late(task: asyncio.Task[Any], awaited: Any) -> None:
    """Cancel a task when what it waits for has come, but before it knows."""
    if awaited is None:
        at_once(task, awaited)
    else:
        awaited.add_done_callback(lambda _: task.cancel())


class CancelledAt:
    """Awaits a coroutine, and has its task cancelled where it is suspended for the n-th time.

    With several ``numbers``, at each of them: what cleans up is cancelled, too.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], *numbers: int, way: Way = at_once
    ) -> None:
        self.coroutine = coroutine
        self.numbers = numbers
        self.way = way
        #: How often it was suspended, and how often it was told that it is cancelled.
        self.suspensions = 0
        self.cancellations = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        try:
            suspended = self.coroutine.send(None)
            while True:
                self.suspensions += 1
                if self.suspensions in self.numbers:
                    self.way(task, suspended)
                try:
                    value = yield suspended
                except BaseException as exc:
                    self.cancellations += isinstance(exc, asyncio.CancelledError)
                    suspended = self.coroutine.throw(exc)
                else:
                    suspended = self.coroutine.send(value)
        except StopIteration as stop:
            return stop.value


def uncancel() -> None:
    """Have the running task go on, whose cancellations were told to it and caught."""
    task = asyncio.current_task()
    assert task is not None
    while task.cancelling():
        task.uncancel()
