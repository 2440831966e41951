"""Plays something again and again, cancelled at another place each time, and looks at the rest."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from django.db import connections
from psycopg.pq import TransactionStatus

from tests.faults.snapshot import Snapshot
from tests.support.cancellation import CancelledAt, Way, at_once, uncancel
from tests.support.clients import until
from tests.support.event_loop import complaints_of_loop
from turbo_orm import bridge
from turbo_orm.backend.connection_state import Pin
from turbo_orm.backend.task_connections import async_connections

type Play = Callable[[], Coroutine[Any, Any, Any]]
type Tables = dict[str, list[str]]


class Trial:
    """What is done on one database, where the rows are those of a snapshot each time.

    ``cancellations`` says how often something was cancelled: a trial without any proves nothing.
    """

    def __init__(self, alias: str, snapshot: Snapshot) -> None:
        self.alias = alias
        self.snapshot = snapshot
        self.cancellations = 0
        self._complaints = complaints_of_loop()

    async def result(self, play: Play) -> Tables:
        """Return what is in the tables after something that is not cancelled."""
        await asyncio.create_task(play())
        return self.snapshot.put_back()

    async def cancel_everywhere(
        self,
        play: Play,
        *,
        way: Way = at_once,
        again: tuple[int, ...] = (),
        anew: bool = False,
        raises: type[Exception] | None = None,
    ) -> list[Tables]:
        """Cancel at each switch to the event loop, and return what is in the tables each time.

        ``again`` has it cancelled once more, so many switches later. ``anew`` has each in a task,
        and with a connection, of its own; where there is a pool, that is always so. ``raises``
        is what becomes of the cancellation.
        """
        found = []
        for number in count(1):
            numbers = (number, *(number + later for later in again))
            steps = self._cancel_at(play, numbers, way, raises or asyncio.CancelledError)
            if anew or self.alias == "pooled":
                suspensions = await asyncio.create_task(steps)
            else:
                suspensions = await steps
            found.append(await self.end(numbers))
            if suspensions < number:
                break
        return found

    async def end(self, place: object) -> Tables:
        """Wait until all is at rest. Return what is in the tables, and put back what was."""
        if self.alias == "pooled":
            await until(self._is_pool_full)
        await self.snapshot.others_rest()
        assert self._complaints == [], place
        return self.snapshot.put_back()

    async def _cancel_at(
        self,
        play: Play,
        numbers: tuple[int, ...],
        way: Way,
        raises: type[BaseException],
    ) -> int:
        cancelled = CancelledAt(play(), *numbers, way=way)
        try:
            await cancelled
        except raises:
            assert cancelled.cancellations, numbers
        else:
            assert not cancelled.cancellations, f"{numbers}: it goes on as if nothing had been"
        self.cancellations += bool(cancelled.cancellations)
        uncancel()
        await self.assert_clean(numbers)
        return cancelled.suspensions

    async def assert_clean(self, place: object) -> None:
        """Assert that the running task's connection is as good as new, or gone."""
        connection = async_connections[self.alias]
        # An iterator that was forgotten is closed by the loop.
        await until(lambda: Pin.SERVER_SIDE_CURSOR not in connection.pins)
        driver = connection.connection
        if driver is not None:
            assert not driver.closed, place
            assert driver.info.transaction_status is TransactionStatus.IDLE, place
            assert connection.autocommit, place
            assert driver.autocommit, place
        assert connection.block is None, place
        assert connection.pins == {}, place
        assert not connection.in_atomic_block, place
        assert not connection.needs_rollback, place
        assert connection.savepoint_ids == connection.atomic_blocks == [], place
        assert connection.run_on_commit == [], place
        # The next statement is answered.
        assert await bridge.run(self._open_cursors) == 0, place

    def _open_cursors(self) -> int:
        with connections[self.alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_cursors")
            number: int = cursor.fetchone()[0]
            return number

    def _is_pool_full(self) -> bool:
        stats = async_connections[self.alias].pool.get_stats()
        waiting = stats.get("requests_waiting", 0)
        return bool(stats["pool_available"] == stats["pool_size"] > 0 and not waiting)
