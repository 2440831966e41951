"""200 tasks at once, each of which gets one article after the other by its key."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from benches.concurrent import backends
from benches.concurrent.contenders import GET, Pooled, PsycopgPool
from benches.harness.case import Case
from benches.harness.harness import Harness
from benches.small import data
from benches.small.case import DJANGO_SYNC
from benches.small.contenders.contender import Contender

TASKS = 200
# How many statements each task executes in a round.
EACH = 5
STATEMENTS = TASKS * EACH
# How many of them are checked.
CHECKED = 2 * TASKS
# Rounds during which the processor time of the backends is measured, and seconds with a slow
# statement, and without.
CPU_ROUNDS = 5
SECONDS = 4


@dataclass(frozen=True)
class Crowd(Case):
    """The statements of all tasks, in rounds that alternate with those over psycopg's pool."""

    loop: str
    contender: Contender
    psycopg: PsycopgPool

    reference = DJANGO_SYNC
    measured = "statements"
    rounds = 10

    def __str__(self) -> str:
        return f"{self.loop}-{self.contender.name}".replace(",", "").replace(" ", "-")

    @property
    def group(self) -> str:
        return f"{TASKS} tasks, {self.loop}"

    @property
    def size(self) -> str:
        return f"{STATEMENTS:,} statements"

    @property
    def subject(self) -> dict[str, Any]:
        return {"operation": GET.name, "loop": self.loop}

    @property
    def figures(self) -> dict[str, Any]:
        return {"statements": STATEMENTS}

    @property
    def pacer(self) -> Case:
        return self.by(self.psycopg)

    def work(self) -> Callable[[Any], Any]:
        get = self.contender.call(GET)

        async def execute(numbers: range) -> None:
            for n in numbers:
                await get(*GET.values(n))

        async def execute_all(prepared: None) -> None:
            starts = range(0, STATEMENTS, EACH)
            await asyncio.gather(*[execute(range(start, start + EACH)) for start in starts])

        return execute_all

    def answer(self, harness: Harness) -> list[Any]:
        """Return what the statements find, all of which are executed at once."""
        data.fill()
        contender, values = self.contender, [GET.values(n) for n in range(CHECKED)]
        get = contender.call(GET)

        async def gathered() -> list[Any]:
            return await asyncio.gather(*[_awaited(get, each) for each in values])

        if contender.is_async:
            found = harness.run(contender, gathered)
        else:
            found = [get(*each) for each in values]
        return [contender.answer(GET, each) for each in found]

    def processor_times(self, harness: Harness) -> dict[str, float]:
        """Return the processor time of the backends for a statement, next to psycopg's pool.

        Nothing is returned where the system does not tell.
        """
        totals = dict.fromkeys(("cpu", "psycopg_cpu"), 0.0)
        for _ in range(CPU_ROUNDS):
            for name, case in zip(totals, (self, self.pacer), strict=True):
                call = harness.call(case)
                before = backends.processor_time(case.contender.application_name)
                call()
                after = backends.processor_time(case.contender.application_name)
                if before is None or after is None:
                    return {}
                totals[name] += after - before
        return {
            name: float(f"{seconds / CPU_ROUNDS / STATEMENTS:.4g}")
            for name, seconds in totals.items()
        }


@dataclass(frozen=True)
class Waits(Crowd):
    """How long quick statements take while all tasks execute some, and a slow one each second."""

    measured = "waits"

    @property
    def group(self) -> str:
        return f"waits of {super().group}"

    def waits(self, harness: Harness) -> dict[str, float]:
        """Return the P99 of quick statements, with a slow one each second and without."""
        contender: Any = self.contender
        waits = harness.run(contender, lambda: _waits(contender))
        return {
            name: float(f"{_p99(waits[is_with]):.4g}")
            for name, is_with in (("p99_without", False), ("p99_with", True))
        }


async def _awaited(get: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    return await get(*values)


async def _waits(contender: Pooled) -> dict[bool, list[float]]:
    """Return how long statements take that begin in seconds with a slow one, and in others.

    All tasks execute statements all the time. In the first second, of which nothing is returned,
    they begin, and connections that are shared are opened.
    """
    begun = perf_counter()
    waits: dict[bool, list[float]] = {True: [], False: []}

    async def execute(n: int) -> None:
        while (second := (sent := perf_counter()) - begun) < 1 + 2 * SECONDS:
            await contender.get(*GET.values(n))
            if second >= 1:
                waits[_has_slow(int(second))].append(perf_counter() - sent)

    async def execute_slow() -> None:
        for second in filter(_has_slow, range(1, 1 + 2 * SECONDS)):
            await asyncio.sleep(begun + second - perf_counter())
            await contender.slow()

    await asyncio.gather(execute_slow(), *map(execute, range(0, STATEMENTS, EACH)))
    return waits


def _has_slow(second: int) -> bool:
    return second % 2 == 1


def _p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]
