"""A client that goes while its request is answered.

Django listens for that in a task beside each request, which costs as much as a short view does.
Here it is listened for once a request takes longer than ``DELAY``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any

from django.core.exceptions import RequestAborted

#: A request listens after so many seconds, or up to twice as many.
DELAY = 0.025


class Disconnect:
    """Cancels the task that made it when the client has gone, until ``stop()``.

    ``listen`` is the handler's method, which raises ``RequestAborted`` then.
    """

    def __init__(self, listen: Callable[[Any], Awaitable[None]], receive: Any) -> None:
        self._listen = listen
        self._receive = receive
        self._listener: asyncio.Task[Any] | None = None
        self._task: Any = asyncio.current_task()
        self._is_cause = False
        self._is_stopped = False
        self._context = copy_context()
        self._recent = _recent_of_running_loop()
        self._recent.add(self)

    def start(self) -> None:
        """Listen from now on."""
        listen: Any = self._listen(self._receive)
        loop = asyncio.get_running_loop()
        self._listener = loop.create_task(listen, context=self._context)
        self._listener.add_done_callback(self._on_done)

    def _on_done(self, listener: asyncio.Task[Any]) -> None:
        if listener.cancelled():
            return
        # It is retrieved, at least.
        listener.exception()
        # Between the listener's end and this call the task may have stopped.
        if not self._is_stopped:
            self._is_cause = True
            self._task.cancel()

    def reason(self) -> BaseException | None:
        """Return why the task was cancelled if this was the only cause, and have it be no more."""
        if not self._is_cause:
            return None
        self._is_cause = False
        if self._task.uncancel() > 0:
            return None
        assert self._listener is not None
        return self._listener.exception() or RequestAborted()

    async def stop(self) -> None:
        """Listen no more. A cancellation that the view has caught is taken back."""
        self._is_stopped = True
        self._recent.discard(self)
        if self._is_cause:
            self._is_cause = False
            self._task.uncancel()
        listener = self._listener
        if listener is not None and not listener.done():
            listener.cancel()
            await asyncio.wait([listener])


class _Recent:
    """The requests of an event loop that do not listen yet. One timer serves them all."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        # Those since the last tick of the timer, and those before it.
        self._new: set[Disconnect] = set()
        self._due: set[Disconnect] = set()

    def add(self, disconnect: Disconnect) -> None:
        self._new.add(disconnect)
        if self._timer is None:
            self._timer = self._loop.call_later(DELAY, self._tick, context=Context())

    def discard(self, disconnect: Disconnect) -> None:
        self._new.discard(disconnect)
        self._due.discard(disconnect)

    def _tick(self) -> None:
        due, self._due, self._new = self._due, self._new, set()
        self._timer = (
            self._loop.call_later(DELAY, self._tick, context=Context()) if self._due else None
        )
        for disconnect in due:
            disconnect.start()


_NAME = "turbo_orm_recent_requests"


def _recent_of_running_loop() -> _Recent:
    loop = asyncio.get_running_loop()
    recent: _Recent | None = getattr(loop, _NAME, None)
    if recent is None:
        recent = _Recent(loop)
        setattr(loop, _NAME, recent)
    return recent
