"""The memory of instances: of each with all that belongs to it, and of a process with many.

The time of these benchmarks means nothing.
"""

import gc
import tracemalloc
from typing import Any

import pytest

from benches.arena import Arena
from benches.case import Case
from benches.contenders.orm import DJANGO_SYNC, TURBO, Orm
from benches.resident import bytes_per_row
from benches.shape import INSTANCES
from benches.tables.models import Narrow, Wide

ALLOCATED_ROWS = 20_000
RESIDENT_ROWS = 200_000
CONTENDERS = (DJANGO_SYNC, TURBO)
CASES = [
    Case(model, INSTANCES, ALLOCATED_ROWS, contender)
    for model in (Narrow, Wide)
    for contender in CONTENDERS
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_memory_of_an_instance(benchmark: Any, arena: Arena, case: Case) -> None:
    arena.check(case)
    case.describe(benchmark, "memory")
    size = benchmark.pedantic(_traced, args=(arena, case), rounds=1)
    benchmark.extra_info["bytes_per_row"] = round(size / case.rows, 1)


def _traced(arena: Arena, case: Case) -> int:
    """Return what the allocator counts for a list, once nothing else is left of the query."""
    query = case.query()
    gc.collect()
    tracemalloc.start()
    try:
        instances = arena.answer(case, query)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        assert len(instances) == case.rows
        return size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda each: each.name)
def test_memory_of_a_process(benchmark: Any, arena: Arena, contender: Orm) -> None:
    case = Case(Narrow, INSTANCES, RESIDENT_ROWS, contender)
    arena.check(case)
    case.describe(benchmark, "resident memory")
    size = benchmark.pedantic(bytes_per_row, args=(contender.manager, case.rows), rounds=1)
    benchmark.extra_info["bytes_per_row"] = round(size, 1)
