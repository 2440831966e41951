"""Nested chains of one statement that Django compiles to the same SQL, but for their values.

Django compares what it compiles (in GROUP BY and ORDER BY), and may write equal subqueries once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, count
from typing import Any

from turbo_orm.query_cache.cache import CacheEntry
from turbo_orm.query_cache.cached_chain import NestedChain
from turbo_orm.query_cache.prepared_values import plain_values
from turbo_orm.query_cache.replacement import map_values

type Slots = Sequence[int]


class AlikeChains:
    """Pairs of nested chains of the same key, by the slots of their values."""

    def __init__(self, pairs: Sequence[tuple[Slots, Slots]]) -> None:
        self._pairs = pairs

    def has_equal(self, values: Sequence[Any]) -> bool:
        """Return whether two chains that are alike are equal."""
        plain = plain_values(values)
        return any(_are_equal(one, other, plain) for one, other in self._pairs)


def alike_chains(entry: CacheEntry, values: Sequence[Any]) -> AlikeChains | None:
    """Return the chains that may become equal, ``None`` if there are none.

    A statement is traced with these values: what they make equal is written twice nevertheless.
    """
    found: dict[tuple[Any, ...], list[Slots]] = {}

    def add(chain: NestedChain) -> NestedChain:
        found.setdefault(chain.key, []).append(chain.own_values)
        visit(chain.entry, iter(chain.values))
        return chain

    def visit(entry: CacheEntry, slots: Iterator[int]) -> None:
        for each in reversed(list(entry.path())):
            if each.step is not None:
                map_values(
                    each.step.name, each.step.args, each.step.kwargs, lambda _: next(slots), add
                )

    visit(entry, count())
    pairs = [
        pair
        for slots in found.values()
        for pair in combinations(slots, 2)
        if pair[0] and not _are_equal(*pair, values)
    ]
    return AlikeChains(pairs) if pairs else None


def _are_equal(one: Slots, other: Slots, values: Sequence[Any]) -> bool:
    return [values[slot] for slot in one] == [values[slot] for slot in other]
