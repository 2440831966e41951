"""Bytes of an instance with all that belongs to it, as Python's allocator counts them.

The time of these benchmarks means nothing: the allocator's bookkeeping is in it.
"""

import gc
import tracemalloc
from typing import Any

import pytest

from benches.arena import Arena
from benches.case import Case
from benches.contenders.orm import DJANGO_SYNC, TURBO
from benches.shape import INSTANCES
from benches.tables.models import Narrow, Wide

ROWS = 20_000
CASES = [
    Case(model, INSTANCES, ROWS, contender)
    for model in (Narrow, Wide)
    for contender in (DJANGO_SYNC, TURBO)
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_memory(benchmark: Any, arena: Arena, case: Case) -> None:
    arena.check(case)
    case.describe(benchmark, "memory")
    size = benchmark.pedantic(_traced, args=(arena, case), rounds=1)
    benchmark.extra_info["bytes_per_row"] = round(size / ROWS, 1)


def _traced(arena: Arena, case: Case) -> int:
    """Return the size of a list of instances, once nothing else is left of the query."""
    query = case.query()
    gc.collect()
    tracemalloc.start()
    try:
        instances = arena.answer(case, query)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        assert len(instances) == ROWS
        return size
    finally:
        tracemalloc.stop()
