"""The lock of a connection, which each statement takes: psycopg's is one of asyncio's."""

from __future__ import annotations

import asyncio
from operator import attrgetter


class StatementLock(asyncio.Lock):
    """One of asyncio's that costs less where no task waits for it."""

    #: What ``locked()`` returns.
    is_locked = property(attrgetter("_locked"))

    @property
    def is_awaited(self) -> bool:
        """Whether a task waits for it."""
        return bool(self._waiters)

    def take(self) -> None:
        """Do what ``acquire()`` does where it is not locked: no task has to wait."""
        self._locked = True

    def release(self) -> None:
        """Unlock it, and wake the task up that has waited longest."""
        if self._waiters or not self._locked:
            super().release()
        else:
            self._locked = False
