"""The event loop while 200,000 instances are made: its longest pause.

And what it costs to yield to the loop: the same list is timed with and without these turns,
alternately, so that both see the same machine.
"""

import asyncio
import gc
from time import perf_counter
from typing import Any

import pytest

from benches.harness.harness import Harness
from benches.lists.case import List
from benches.lists.contenders.orm import BACKEND, DJANGO_ASYNC, TURBO, Orm
from benches.lists.shape import INSTANCES
from benches.tables.models import Narrow, Wide
from turbo_orm import bridge

ROWS = 200_000
ROUNDS = 4


class Heartbeat:
    """A callback that the event loop is to call every millisecond."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> "Heartbeat":
        self._loop = asyncio.get_running_loop()
        self._last = perf_counter()
        self._beat()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        # The time since the last beat counts, too.
        self._next.cancel()
        self._beat()
        self._next.cancel()

    def _beat(self) -> None:
        now = perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        self._next = self._loop.call_later(0.001, self._beat)


@pytest.mark.parametrize("contender", [DJANGO_ASYNC, BACKEND, TURBO], ids=lambda each: each.name)
def test_longest_pause(benchmark: Any, harness: Harness, contender: Orm) -> None:
    case = List(Wide, INSTANCES, ROWS, contender)
    query: Any = case.query()
    pauses = []

    async def read() -> None:
        async with Heartbeat() as heartbeat:
            instances = await query()
        pauses.append(heartbeat.longest)
        assert len(instances) == ROWS

    def measure() -> dict[str, Any]:
        harness.run(contender, read)
        # As with times: what exceeds the least is the machine's.
        return {"longest_pause": min(pauses)}

    harness.measure(benchmark, case, "longest pause", measure, rounds=ROUNDS)


def test_cost_of_turns(benchmark: Any, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    case = List(Narrow, INSTANCES, ROWS, TURBO)
    query: Any = case.query()
    times: dict[bool, list[float]] = {True: [], False: []}

    def read(with_turns: bool) -> None:
        gc.collect()
        with monkeypatch.context() as patch:
            if not with_turns:
                patch.setattr(bridge.Checkpoints, "maybe_yield", lambda self: None)
            begun = perf_counter()
            harness.run(TURBO, query)
            times[with_turns].append(perf_counter() - begun)

    def measure() -> dict[str, Any]:
        for with_turns in (True, False, False, True):
            read(with_turns)
        return {"with_turns": min(times[True]), "without_turns": min(times[False])}

    harness.measure(benchmark, case, "turns", measure, rounds=ROUNDS, warm_ups=1)
