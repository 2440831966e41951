"""Lists of rows as JSON, in bytes: the queryset, the statement, the rows and their encoding."""

import gc
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil
import pytest
from django.db.models import DateTimeField

from benches.harness.harness import Harness
from benches.lists.case import List
from benches.lists.contenders.json import DjangoEncoder, PsycopgOrjson, TurboJson
from benches.lists.shape import VALUES, Shape
from benches.tables.data import fill
from benches.tables.models import Narrow, Text, Wide

DJANGO = DjangoEncoder()
JSON = Shape("JSON", VALUES.queryset, VALUES.reader)


@dataclass(frozen=True)
class Encoded(List):
    """The answer is what the bytes say, of moments by the millisecond, as Django has them."""

    reference = DJANGO

    def answer(self, harness: Harness) -> list[Any]:
        fill(self.model)
        rows = json.loads(harness.run(self.contender, self.query()))
        assert len(rows) == self.rows
        for field in self.model._meta.concrete_fields:
            if isinstance(field, DateTimeField):
                for row in rows:
                    moment = datetime.fromisoformat(row[field.attname])
                    row[field.attname] = moment.isoformat(timespec="milliseconds")
        return list(rows)


CASES = [
    Encoded(model, JSON, rows, contender)
    for model in (Narrow, Wide, Text)
    for rows in (100, 10_000)
    for contender in (DJANGO, PsycopgOrjson(), TurboJson())
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_json(benchmark: Any, harness: Harness, case: Encoded) -> None:
    harness.bench(benchmark, case)


@dataclass(frozen=True)
class Parts(Encoded):
    """What is compared are the first rows."""

    def answer(self, harness: Harness) -> list[Any]:
        return Encoded(self.model, self.shape, 10_000, self.contender).answer(harness)


PARTS = Parts(Narrow, JSON, 1_000_000, TurboJson())


def test_memory_of_parts(benchmark: Any, harness: Harness) -> None:
    """What a million rows take while they are written in parts, above what there was before."""
    fill(Narrow)

    async def read(rows: int) -> tuple[int, int]:
        size, peak = 0, 0
        async for part in Narrow.objects.values()[:rows].ajson_chunks():
            size += len(part)
            peak = max(peak, psutil.Process().memory_info().rss)
        return size, peak

    def measure() -> dict[str, Any]:
        harness.run(PARTS.contender, lambda: read(10_000))
        gc.collect()
        before = psutil.Process().memory_info().rss
        size, peak = harness.run(PARTS.contender, lambda: read(PARTS.rows))
        assert size > 50 * PARTS.rows
        return {"megabytes": round((peak - before) / 2**20, 1)}

    harness.measure(benchmark, PARTS, "memory of parts", measure)
