"""How many Python functions are called for an ``aget()``: the same number on any machine.

All that runs from one ``aget()`` to the next counts, asyncio's own functions and each resumption
of a coroutine included, but for what the benchmark itself calls. The time means nothing.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

from benches.harness.harness import Harness
from benches.small.case import PSYCOPG, Repeated
from benches.small.contenders.contender import Contender
from benches.small.contenders.orms import Backend, Turbo
from benches.small.operations import OPERATIONS

CALLS = 20
BENCHES = str(Path(__file__).parents[1])


@pytest.mark.parametrize("contender", [Backend(), PSYCOPG, Turbo()], ids=lambda each: each.name)
def test_calls(benchmark: Any, harness: Harness, contender: Contender) -> None:
    get = OPERATIONS[0]
    called = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal called
        called += event == "call" and not frame.f_code.co_filename.startswith(BENCHES)

    def counted(calls: int) -> int:
        nonlocal called
        repeat = harness.call(Repeated(get, contender, calls))
        called = 0
        sys.setprofile(profile)
        try:
            repeat()
        finally:
            sys.setprofile(None)
        return called

    def measure() -> dict[str, Any]:
        # To enter and to leave the event loop is in both.
        return {"python_calls": (counted(2 * CALLS) - counted(CALLS)) / CALLS}

    harness.measure(benchmark, Repeated(get, contender), "Python calls", measure, rounds=3)
