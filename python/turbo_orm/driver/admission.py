"""Has sync views begin only while few tasks wait for a connection.

A view that waits for one keeps a greenlet, its frames and Django's wrappers, which is twice what
its request takes. Behind so many others it would wait in any case, so its request waits, first
come, first served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from turbo_orm import conf
from turbo_orm.driver.wait_queue import TimedQueue


class Admission(TimedQueue):
    """The queue of an event loop's sync views that have not begun.

    ``waiting()`` returns how many tasks wait for a connection of the loop's pools, and
    ``timeout()`` for how many seconds one waits at most. So long a view is put off at most, and
    begins then in any case: it may need no connection.
    """

    def __init__(self, waiting: Callable[[], int], timeout: Callable[[], float]) -> None:
        super().__init__()
        self._waiting = waiting
        self._timeout = timeout

    def is_crowded(self) -> bool:
        """Return whether a view has to wait before it begins."""
        return self.is_waited() or not self._has_room()

    async def enter(self) -> None:
        """Wait until there is room for one more view."""
        try:
            await self.enqueue_for(self._timeout())
        finally:
            # It may query nothing, or be cancelled: nothing else would let the next one in.
            self.let_in()

    def let_in(self) -> None:
        """Let one view begin, if there is room. To be called where a task waits no longer."""
        if self.is_waited() and self._has_room():
            self.hand_over(None)

    def expire(self, waiter: asyncio.Future[Any]) -> None:
        waiter.set_result(None)

    def _has_room(self) -> bool:
        waiting = self._waiting()
        return not waiting or waiting < int(conf.get("WAITING_VIEWS"))
