"""A client that goes while its request is answered.

Django listens for that in a task beside each request, which costs as much as a short view does.
Here it is listened for once a request takes longer than ``DELAY``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.exceptions import RequestAborted

#: Seconds after which a request listens.
DELAY = 0.05


class Disconnect:
    """Cancels the task that made it when the client has gone, until ``stop()``.

    ``listen`` is the handler's method, which raises ``RequestAborted`` then.
    """

    def __init__(self, listen: Callable[[], Awaitable[None]]) -> None:
        self._listen = listen
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(DELAY, self._start)
        self._listener: asyncio.Task[Any] | None = None
        self._task: Any = asyncio.current_task()
        self._is_cause = False
        self._is_stopped = False

    def _start(self) -> None:
        self._listener = asyncio.ensure_future(self._listen())
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
        self._timer.cancel()
        if self._is_cause:
            self._is_cause = False
            self._task.uncancel()
        listener = self._listener
        if listener is not None and not listener.done():
            listener.cancel()
            await asyncio.wait([listener])
