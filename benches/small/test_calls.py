"""How many Python functions are called for an ``aget()``: the same on any machine.

Whatever runs from one to the next counts, asyncio's own functions, too, and each time that a
coroutine goes on, but for what the benchmark itself calls. The time means nothing.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

from benches.small.contenders.contender import Contender
from benches.small.contenders.orms import Backend, Turbo
from benches.small.operations import OPERATIONS
from benches.small.ring import PSYCOPG, Ring

CALLS = 20
BENCHES = str(Path(__file__).parents[1])


@pytest.mark.parametrize("contender", [Backend(), PSYCOPG, Turbo()], ids=lambda each: each.name)
def test_calls(benchmark: Any, ring: Ring, contender: Contender) -> None:
    get = OPERATIONS[0]
    ring.check(get, contender)
    called = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal called
        called += event == "call" and not frame.f_code.co_filename.startswith(BENCHES)

    def counted(times: int) -> int:
        nonlocal called
        repeat = ring.repeated(get, contender, times)
        called = 0
        sys.setprofile(note)
        try:
            repeat()
        finally:
            sys.setprofile(None)
        return called

    def count() -> float:
        # The way into the loop and out of it is in both.
        return (counted(2 * CALLS) - counted(CALLS)) / CALLS

    benchmark.group = f"{get}, Python calls"
    benchmark.name = contender.name
    python_calls = benchmark.pedantic(count, rounds=3)
    benchmark.extra_info |= {
        "measured": "Python calls",
        "operation": get.name,
        "contender": contender.name,
        "python_calls": python_calls,
    }
