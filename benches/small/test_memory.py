"""The memory of a thousand shapes that were learnt. The time means nothing."""

import gc
import tracemalloc
from collections.abc import Iterator
from itertools import product
from typing import Any

from django.db.models import QuerySet

from benches.small.contenders.orms import Turbo
from benches.small.models import Article
from benches.small.operations import OPERATIONS
from benches.small.ring import Ring
from benches.small.values import moment
from turbo_orm.query_cache.cache import shapes
from turbo_orm.query_cache.compiled import Statement

LOOKUPS: list[dict[str, Any]] = [
    {"pk": 1},
    {"writer": 1},
    {"section": 1},
    {"section": 1, "is_draft": False},
    {"section__in": [1, 2]},
    {"words__gt": 1},
    {"words__lte": 1, "rating__gte": 0.5},
    {"title": "a"},
    {"title__startswith": "a"},
    {"title__icontains": "a"},
    {"published__lt": moment(1)},
    {"published__year": 2026},
    {"writer__name": "a"},
    {"writer__country": "fi"},
    {"writer__joined__gte": moment(1)},
    {"writer__country": "fi", "words__gt": 1},
    {"writer__country__in": ["fi", "jp"]},
    {"writer__name__contains": "a", "is_draft": True},
    {"rating__range": (1.0, 2.0)},
    {"title__endswith": "a", "section": 1},
]
ORDERS = ["pk", "-published", "words", "title", "-rating"]
SHAPES = len(LOOKUPS) * len(ORDERS) ** 2 * 2


def chains() -> Iterator[QuerySet[Any, Any]]:
    """Yield querysets of as many shapes, half of them with related objects."""
    for lookups, first, then, is_related in product(LOOKUPS, ORDERS, ORDERS, (False, True)):
        chain = Article.objects.filter(**lookups).order_by(first, then)
        yield (chain.select_related("writer") if is_related else chain)[:10]


def test_memory(benchmark: Any, ring: Ring) -> None:
    turbo = Turbo()
    for operation in OPERATIONS:
        ring.check(operation, turbo)

    async def learn() -> None:
        for chain in chains():
            await chain.alist()

    def traced() -> int:
        # What is imported late, and what Django remembers of its fields, is no shape.
        ring.task(turbo).run(learn)
        shapes.clear()
        gc.collect()
        tracemalloc.start()
        try:
            ring.task(turbo).run(learn)
            # Receivers of signals that are freed meanwhile have all forgotten.
            ring.task(turbo).run(learn)
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        learnt = {chain._shape for chain in chains()}
        assert len(learnt) == SHAPES == 1_000
        assert all(type(*shape.statements.values()) is Statement for shape in learnt)
        return size

    benchmark.group = f"{SHAPES:,} shapes, memory"
    benchmark.name = turbo.name
    size = benchmark.pedantic(traced, rounds=1)
    benchmark.extra_info |= {
        "measured": "memory of shapes",
        "contender": turbo.name,
        "shapes": SHAPES,
        "bytes": size,
    }
    shapes.clear()
