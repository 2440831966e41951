"""The event loop while 200,000 instances are made: how long it waits for a turn.

And what the turns cost: the same list is timed with and without them, alternately, so that both
see the same machine.
"""

import asyncio
import gc
from time import perf_counter
from typing import Any

import pytest

from benches.arena import Arena
from benches.case import Case
from benches.contenders.orm import BACKEND, DJANGO_ASYNC, TURBO
from benches.shape import INSTANCES
from benches.tables.models import Narrow
from turbo_orm import bridge

ROWS = 200_000
ROUNDS = 4


class Heartbeat:
    """A callback that the event loop is asked to call every millisecond."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> "Heartbeat":
        self._loop = asyncio.get_running_loop()
        self._last = perf_counter()
        self._beat()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        # What came after the last beat counts as well.
        self._next.cancel()
        self._beat()
        self._next.cancel()

    def _beat(self) -> None:
        now = perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        self._next = self._loop.call_later(0.001, self._beat)


@pytest.mark.parametrize("contender", [DJANGO_ASYNC, BACKEND, TURBO], ids=lambda each: each.name)
def test_longest_pause(benchmark: Any, arena: Arena, contender: Any) -> None:
    case = Case(Narrow, INSTANCES, ROWS, contender)
    arena.check(case)
    query: Any = case.query()
    pauses = []

    async def ask() -> None:
        async with Heartbeat() as heartbeat:
            instances = await query()
        pauses.append(heartbeat.longest)
        assert len(instances) == ROWS

    case.describe(benchmark, "longest pause")
    gc.collect()
    benchmark.pedantic(lambda: arena.answer(case, ask), rounds=ROUNDS)
    # As with times: what is more than the least has to do with the machine.
    benchmark.extra_info["longest_pause"] = min(pauses)


def test_cost_of_turns(benchmark: Any, arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(Narrow, INSTANCES, ROWS, TURBO)
    arena.check(case)
    query: Any = case.query()
    times: dict[bool, list[float]] = {True: [], False: []}

    def ask(with_turns: bool) -> None:
        gc.collect()
        with monkeypatch.context() as patch:
            if not with_turns:
                patch.setattr(bridge.Checkpoints, "maybe_yield", lambda self: None)
            begun = perf_counter()
            arena.answer(case, query)
            times[with_turns].append(perf_counter() - begun)

    def ask_alternately() -> None:
        for with_turns in (True, False, False, True):
            ask(with_turns)

    case.describe(benchmark, "turns")
    benchmark.pedantic(ask_alternately, rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["with_turns"] = min(times[True])
    benchmark.extra_info["without_turns"] = min(times[False])
