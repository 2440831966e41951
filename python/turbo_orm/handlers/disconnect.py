"""A client that goes while its request is answered.

Django listens for that in a task beside each request, which costs as much as a short view does.
Here it is listened for once a request takes longer than ``DELAY``, and the later the more requests
are open: as many as an event loop has to answer take their time without waiting for anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any

from django.core.exceptions import RequestAborted

#: A request listens after so many seconds, or up to twice as many,
DELAY = 0.025
#: and so many for each request that is open: some five times as long as a short one computes.
DELAY_OF_EACH = 0.0025
#: It listens after so many, or up to twice as many, whatever the number.
LONGEST_DELAY = 1.0


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
        self._has_timer = False
        # When those that are due began to be.
        self._since = 0.0
        # Those since then, and those before.
        self._new: set[Disconnect] = set()
        self._due: set[Disconnect] = set()

    def add(self, disconnect: Disconnect) -> None:
        self._new.add(disconnect)
        if not self._has_timer:
            self._since = self._loop.time()
            self._tick_after(DELAY)

    def discard(self, disconnect: Disconnect) -> None:
        self._new.discard(disconnect)
        self._due.discard(disconnect)

    def _tick_after(self, seconds: float) -> None:
        self._has_timer = True
        self._loop.call_later(seconds, self._tick, context=Context())

    def _tick(self) -> None:
        self._has_timer = False
        number = len(self._new) + len(self._due)
        if not number:
            return
        now = self._loop.time()
        left = self._since + min(DELAY + number * DELAY_OF_EACH, LONGEST_DELAY) - now
        if left > 0:
            self._tick_after(left)
            return
        due, self._due, self._new = self._due, self._new, set()
        self._since = now
        if self._due:
            self._tick_after(DELAY)
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
