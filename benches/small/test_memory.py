"""The memory of a thousand cached query structures, and of a million lists: not the time."""

import gc
import random
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from django.db.models import QuerySet

from benches.contenders.django import DjangoOrm
from benches.harness.case import Case
from benches.harness.harness import Harness
from benches.small import data
from benches.small.case import DJANGO_SYNC
from benches.small.contenders.orms import Turbo
from benches.small.models import Article
from benches.small.values import moment
from turbo_orm import cache_info
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.lookup import lookup
from turbo_orm.query_cache.outcome import Hit

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


LISTS = 1_000_000
# Lists of keys, of each length up to 300.
KEYS = [list(range(1, length + 1)) for length in range(1, 301)]


def chains(objects: Any) -> Iterator[QuerySet[Any, Any]]:
    """Yield querysets of as many structures, half of them with related objects."""
    for lookups, first, then, is_related in product(LOOKUPS, ORDERS, ORDERS, (False, True)):
        chain = objects.filter(**lookups).order_by(first, then)
        yield (chain.select_related("writer") if is_related else chain)[:10]


@dataclass(frozen=True)
class Structures(Case):
    """All of these querysets, evaluated."""

    contender: DjangoOrm

    reference = DJANGO_SYNC

    @property
    def group(self) -> str:
        return f"{SHAPES:,} shapes"

    @property
    def subject(self) -> dict[str, Any]:
        return {}

    def work(self) -> Callable[[Any], Any]:
        objects, listed = self.contender.objects(Article), self.contender.listed

        async def evaluate_async(prepared: None) -> list[int]:
            return [len(await listed(chain)) for chain in chains(objects)]

        def evaluate(prepared: None) -> list[int]:
            return [len(listed(chain)) for chain in chains(objects)]

        return evaluate_async if self.contender.is_async else evaluate

    def answer(self, harness: Harness) -> list[Any]:
        """Return how many rows each has: which ones is arbitrary where the order is not total."""
        data.fill()
        return harness.call(self)()


@dataclass(frozen=True)
class Lists(Structures):
    """A queryset with a list of each length."""

    @property
    def group(self) -> str:
        return f"{LISTS:,} lists"

    def work(self) -> Callable[[Any], Any]:
        objects, listed = self.contender.objects(Article), self.contender.listed

        async def evaluate_async(prepared: None) -> list[int]:
            return [len(await listed(objects.filter(pk__in=keys))) for keys in KEYS[:10]]

        def evaluate(prepared: None) -> list[int]:
            return [len(listed(objects.filter(pk__in=keys))) for keys in KEYS[:10]]

        return evaluate_async if self.contender.is_async else evaluate


def test_lists(benchmark: Any, harness: Harness) -> None:
    """Statements are looked up and bound, and not executed."""

    def looked_up() -> dict[str, Any]:
        before, chosen = cache_info(), random.Random(2026)
        for _ in range(LISTS):
            queryset: Any = Article.objects.filter(pk__in=chosen.choice(KEYS))
            assert type(lookup(queryset, "_fetch_all", queryset._cached)) is Hit
        after = cache_info()
        return {
            "lists": LISTS,
            "entries": after.entries - before.entries,
            "bytes": after.bytes - before.bytes,
        }

    harness.measure(benchmark, Lists(Turbo()), "memory of lists", looked_up)


def test_memory(benchmark: Any, harness: Harness) -> None:
    case = Structures(Turbo())

    def traced() -> dict[str, Any]:
        # The check has imported what is imported late, and what Django caches of its fields.
        evaluate = harness.call(case)
        cache.clear()
        gc.collect()
        tracemalloc.start()
        try:
            evaluate()
            # Signal receivers that are freed meanwhile have left their lists by the second time.
            evaluate()
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        cached = {chain._cached.entry for chain in chains(Article.objects)}
        assert len(cached) == SHAPES == 1_000
        assert all(len(entry.statements) == 1 for entry in cached)
        return {"shapes": SHAPES, "bytes": size}

    harness.measure(benchmark, case, "memory of shapes", traced)
    cache.clear()
