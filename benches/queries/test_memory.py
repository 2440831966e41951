"""The memory of instances: of each with all that belongs to it, and of a process with many.

The time of these benchmarks means nothing.
"""

import gc
import tracemalloc
from typing import Any

import pytest

from benches.harness.harness import Harness
from benches.lists.case import List
from benches.lists.contenders.orm import DJANGO_SYNC, TURBO, Orm
from benches.lists.resident import bytes_per_row
from benches.lists.shape import INSTANCES
from benches.tables.models import Narrow, Wide

ALLOCATED_ROWS = 20_000
RESIDENT_ROWS = 200_000
CONTENDERS = (DJANGO_SYNC, TURBO)
CASES = [
    List(model, INSTANCES, ALLOCATED_ROWS, contender)
    for model in (Narrow, Wide)
    for contender in CONTENDERS
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_memory_of_an_instance(benchmark: Any, harness: Harness, case: List) -> None:
    def measure() -> dict[str, Any]:
        return {"bytes_per_row": round(_traced(harness, case) / case.rows, 1)}

    harness.measure(benchmark, case, "memory", measure)


def _traced(harness: Harness, case: List) -> int:
    """Return the bytes that the allocator counts for a list, without the rest of the query."""
    query = case.query()
    gc.collect()
    tracemalloc.start()
    try:
        instances = harness.run(case.contender, query)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        assert len(instances) == case.rows
        return size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda each: each.name)
def test_memory_of_a_process(benchmark: Any, harness: Harness, contender: Orm) -> None:
    case = List(Narrow, INSTANCES, RESIDENT_ROWS, contender)

    def measure() -> dict[str, Any]:
        return {"bytes_per_row": round(bytes_per_row(contender.name, case.rows), 1)}

    harness.measure(benchmark, case, "resident memory", measure)
