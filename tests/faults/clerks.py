"""Many tasks that carry out a bank's orders over a small pool, some of them cancelled."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from django.db import connections

from tests.faults.bank import Bank, Drawer, drawer
from tests.support.cancellation import CancelledAt
from tests.support.clients import until
from turbo_orm import async_atomic, bridge
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.routers import causal_session

# A clerk who is not ready by then never will be.
PATIENCE = 120


class Clerks:
    """Tasks that take one order after the other. Some are carried out in a task of their own.

    Each is a session of its own to a router: it reads what it has written.
    """

    def __init__(
        self, bank: Bank, number: int, cancelled: float, pools: Iterable[str] = ("default",)
    ) -> None:
        self.bank = bank
        self.pools = pools
        self.number = number
        self.cancelled = cancelled
        self.random = bank.random
        self.orders = 0
        self.stuck = 0
        self.failures: Counter[str] = Counter()

    async def work(self, seconds: float, tick: Callable[[float], None]) -> None:
        """Work for some time, and then finish what was begun."""
        end = time.monotonic() + seconds
        clerks = [asyncio.create_task(self._clerk(end)) for _ in range(self.number)]
        while (left := end - time.monotonic()) > 0:
            tick(seconds - left)
            await asyncio.sleep(min(left, 0.2))
        done, stuck = await asyncio.wait(clerks, timeout=PATIENCE)
        self.stuck += len(stuck)
        for task in [*stuck][:3]:
            task.print_stack(file=sys.stderr)
        for task in done:
            task.result()
        await until(
            lambda: all(
                stats["pool_available"] == stats["pool_size"]
                for stats in map(stats_of, self.pools)
            )
        )

    async def _clerk(self, end: float) -> None:
        drawer.set(Drawer())
        with causal_session():
            await self._take_orders(end)

    async def _take_orders(self, end: float) -> None:
        while time.monotonic() < end:
            number, kind = self.bank.order()
            order = self.bank.carry_out(number, kind)
            if self.random.random() < self.cancelled:
                await self._cancel(order, kind)
            elif self.random.random() < 0.5:
                await self._carry_out(order, kind)
            else:
                await asyncio.create_task(self._carry_out(order, kind))
            self.orders += 1

    async def _carry_out(self, order: Coroutine[Any, Any, None], kind: str) -> None:
        try:
            await order
        except Exception as exc:
            self.failures[f"{kind}: {exc!r}"] += 1

    async def _cancel(self, order: Coroutine[Any, Any, None], kind: str) -> None:
        """Cancel an order after some time, or where it waits for the n-th time."""
        work = self._carry_out(order, kind)
        if self.random.random() < 0.5:
            task = asyncio.create_task(awaited(CancelledAt(work, self.random.randrange(1, 30))))
        else:
            task = asyncio.create_task(work)
            asyncio.get_running_loop().call_later(self.random.random() / 5, task.cancel)
        await asyncio.wait([task])
        # It may never have been begun.
        work.close()
        order.close()


async def awaited(awaitable: Any) -> Any:
    return await awaitable


def stats_of(alias: str) -> dict[str, int]:
    """Return what a pool says of itself."""
    found: dict[str, int] = async_connections[alias].pool.get_stats()
    return found


async def cursors_on_all(alias: str, number: int) -> int:
    """Have so many transactions open at once, and count the cursors left on their connections."""
    barrier = asyncio.Barrier(number)

    async def look() -> int:
        async with async_atomic(alias):
            count: int = await bridge.run(open_cursors, alias)
            await barrier.wait()
            return count

    async with asyncio.timeout(30):
        return sum(await asyncio.gather(*(look() for _ in range(number))))


def open_cursors(alias: str) -> int:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors")
        (count,) = cursor.fetchone()
    return int(count)


async def at_rest(pools: Iterable[str]) -> tuple[dict[str, dict[str, int]], int]:
    """Return what the pools say of themselves, and how many tasks there are."""
    return {alias: stats_of(alias) for alias in pools}, len(asyncio.all_tasks())
