"""What leads from one chain of methods to the next, and back to a queryset of Django's.

``extend()`` looks up the entry that another call leads to, ``record()`` makes one of a call that
Django has made, and ``replay()`` makes Django's queryset of a chain when its query is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from itertools import count
from typing import Any, NamedTuple

from django.db.models import FilteredRelation, Prefetch
from django.db.models.constants import LOOKUP_SEP
from django.db.models.sql import Query

from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cached_chain import CachedChain
from turbo_orm.query_cache.no_cache_key import NoCacheKey
from turbo_orm.query_cache.outcome import Bypass
from turbo_orm.query_cache.parameters import lookup_factories, without_warnings
from turbo_orm.query_cache.prepared_values import DeferredValue, plain_values
from turbo_orm.query_cache.replacement import map_values
from turbo_orm.query_cache.step import KeyOf, Step
from turbo_orm.query_cache.tracers import NotCacheable, TracingQuery

type Values = tuple[Any, ...]

_LOOKUPS = (str, Prefetch)


def split_slice(values: Values) -> tuple[Values, Values]:
    """Return the values of a chain, and apart its slice, the last of all that are bound."""
    return (values[:-1], values[-1:]) if values and type(values[-1]) is slice else (values, ())


def may_prefetch(chain: CachedChain, lookups: Sequence[Any]) -> bool:
    """Return whether Django accepts what is to be prefetched, for which it looks at the query."""
    if chain[0].is_combined or [each for each in lookups if not isinstance(each, _LOOKUPS)]:
        return False
    filtered = chain[0].filtered_relations
    return not filtered or filtered.isdisjoint(
        [str(getattr(each, "prefetch_to", each)).split(LOOKUP_SEP)[0] for each in lookups]
    )


class NewStep(NamedTuple):
    """A call that was not recorded yet, its key among the children of an entry, and its values."""

    key: tuple[Any, ...]
    values: list[Any]
    args: Sequence[Any]
    kwargs: dict[str, Any]


def extend(
    chain: CachedChain,
    name: str,
    key_of: KeyOf,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    is_sticky: bool = False,
    is_deferred: bool = False,
) -> CachedChain | NewStep | Bypass:
    """Return the chain that a call of a method leads to, if that was recorded.

    ``is_sticky`` and ``is_deferred`` are the queryset's ``_sticky_filter`` and
    ``_defer_next_filter``.
    """
    entry, given = chain
    try:
        key, values = key_of(args, kwargs)
    except NoCacheKey as exc:
        return Bypass(f"{name}() is given {exc}")
    step_key = (name, key, is_sticky)
    child = entry.children.get(step_key)
    if child is None:
        return NewStep(step_key, values, args, _own_filtered_relations(kwargs))
    if child.refusal:
        return Bypass(child.refusal)
    if not values:
        return CachedChain((child, given))
    factories = child.step.factories  # type: ignore[union-attr]
    if factories is None:
        return CachedChain((child, (*given, *values)))
    try:
        return CachedChain((child, (*given, *_prepared(values, factories, is_deferred))))
    except Exception:
        # Django looks at the values in an order of its own, and raises for the first.
        return Bypass(f"{name}() is given a value that Django refuses or takes for NULL")


def _own_filtered_relations(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Copy each ``FilteredRelation``: Django 5.2 changes the condition of those it is given."""
    return {
        name: value.clone() if type(value) is FilteredRelation else value
        for name, value in kwargs.items()
    }


def _prepared(values: Sequence[Any], factories: Sequence[Any], is_deferred: bool) -> Iterator[Any]:
    """Yield values, with a lookup where Django makes one at once, or one to be made later."""
    for value, factory in zip(values, factories, strict=True):
        if factory is None:
            yield value
        else:
            yield DeferredValue(value, factory) if is_deferred else factory(value)


def record(
    chain: CachedChain,
    new: NewStep,
    over: Callable[[Query], Any],
    made: Any,
    is_deferred: bool,
) -> CachedChain | Bypass:
    """Record a call that Django has made, and return the chain that it leads to.

    ``over`` returns a queryset of the same class over a query; ``made`` is what the call returned.
    """
    entry, given = chain
    name, _, is_sticky = new.key
    places = count()
    before = plain_values(given)

    def traced(tracers: Sequence[Any]) -> Any:
        queryset = replay(CachedChain((entry, ())), over(TracingQuery(entry.model)), before)
        return step.replay(queryset, iter(tracers))

    try:
        # What is kept is the key, with nothing of the values.
        args, kwargs = map_values(
            name,
            new.args,
            new.kwargs,
            lambda value: value if type(value) is slice else f"#{next(places)}",
        )
        # The caller may change a list afterwards.
        step = Step(name, *deepcopy((args, kwargs)), is_sticky)
        with without_warnings():
            made_factories = lookup_factories(traced, new.values)
            step.factories = made_factories if any(made_factories) else None
            child = cache.add(entry, new.key, step, made._iterable_class, made._fields)
            # The call was made before: so was what follows it, as far as can be told.
            child.is_new = True
            factories = child.step.factories  # type: ignore[union-attr]
            values: Any = new.values
            if factories is not None:
                values = _prepared(values, factories, is_deferred)
            return CachedChain((child, (*given, *values)))
    except NoCacheKey as exc:
        return Bypass(f"{name}() is given {exc}")
    except Exception as exc:
        why = str(exc) if isinstance(exc, NotCacheable) else f"raises {type(exc).__qualname__}"
        refusal = f"{name}() cannot be traced: {why}"
        cache.refuse_step(entry, new.key, refusal)
        return Bypass(refusal)


def replay(chain: CachedChain, queryset: Any, values: Sequence[Any] | None = None) -> Any:
    """Make the calls of a chain once more, from a queryset of all objects.

    ``values`` take the place of the chain's own.
    """
    entry, given = chain
    return entry.replay(queryset, iter(plain_values(given) if values is None else values))
