"""Once a second, what tasks have left idle goes back to the pool, though they go on.

A task keeps its connection while no other waits for one, and it may wait for something else for
hours. The pool closes only what it has itself, so the session would last as long as the task.

A statement notes no time. A task that uses its connection all the time has it acquired once more
in a second at most.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turbo_orm.driver.pool import Pool

SECONDS = 1.0


class IdleRelease:
    """The timer of a pool. It runs while there are holders of connections."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Have idle connections released, in a second and from then on."""
        if self._timer is None:
            # In no context: a task's would be kept for as long.
            self._timer = asyncio.get_running_loop().call_later(
                SECONDS, self._release, context=Context()
            )

    def _release(self) -> None:
        self._timer = None
        while (connection := self._pool.detach_idle()) is not None:
            self._pool.release(connection)
        if self._pool.holders:
            self.start()
