"""Values of one statement that must not become equal, since Django would write other SQL.

Django compares what it compiles (in GROUP BY, ORDER BY, DISTINCT, and above window functions), and
may write equal conditions or subqueries once. So a statement is compiled once more with all
its values equal that may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Any

from turbo_orm.query_cache.compiled import Binder
from turbo_orm.query_cache.prepared_values import WITH_LOOKUPS, LookupFactory

type Pairs = tuple[tuple[int, int], ...]

# Equal ones are equal to Django, too.
_NUMBERS = (int, float, Decimal)


def must_differ(
    binders: Sequence[Binder], values: Sequence[Any], agrees: Callable[[Sequence[Any]], bool]
) -> Pairs:
    """Return the pairs of binders whose parameters decide the SQL if they are equal.

    ``agrees`` says whether Django compiles the statement as it is bound to other values.
    """
    made = [[*binder.params(values[binder.slot])] for binder in binders]
    groups: dict[Any, list[int]] = {}
    for index, (binder, params) in enumerate(zip(binders, made, strict=True)):
        groups.setdefault(_kind(binder, params), []).append(index)
    # A statement is traced with these values: what they make equal is written twice nevertheless.
    pairs = tuple(
        [
            (one, other)
            for group in groups.values()
            for one, other in combinations(group, 2)
            if made[one] != made[other]
        ]
    )
    if not pairs:
        return ()
    for values_alike in _alike(binders, values, [*groups.values()]):
        try:
            return () if agrees(values_alike) else pairs
        except Exception:
            # One of the values fits in its own place only.
            continue
    return pairs


def _kind(binder: Binder, params: Sequence[Any]) -> Any:
    """Return what is equal for binders whose parameters may be equal."""
    kinds = frozenset(["number" if isinstance(each, _NUMBERS) else type(each) for each in params])
    return len(params) if not hasattr(binder, "is_of_list") else "list", kinds


def _alike(
    binders: Sequence[Binder], values: Sequence[Any], groups: Sequence[Sequence[int]]
) -> Iterator[list[Any]]:
    """Yield the values with those of each group equal: to its first one, and to its last."""
    for which in (0, -1):
        changed = [*values]
        try:
            for group in groups:
                model = values[binders[group[which]].slot]
                plain = model.value if type(model) in WITH_LOOKUPS else model
                for index in group:
                    slot = binders[index].slot
                    changed[slot] = _in_place_of(values[slot], plain)
        except Exception:
            continue
        yield changed


def _in_place_of(value: Any, plain: Any) -> Any:
    """Return another value, with a lookup if the one has one."""
    if type(value) not in WITH_LOOKUPS:
        return plain
    lookup = value.lookup
    return LookupFactory(type(lookup), lookup.lhs)(plain)
