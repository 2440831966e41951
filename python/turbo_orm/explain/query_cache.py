"""Explains whether the statement of a method is cached, and the state of the cache.

The explanation is the look-up that the methods make (**lookup**), and nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import QuerySet

from turbo_orm.orm.queryset import AsyncQuerySet
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.lookup import lookup, lookup_aggregate
from turbo_orm.query_cache.outcome import Bypass, Miss
from turbo_orm.query_cache.statistics import CacheInfo, CacheStatistics

# The methods, by that of Django which their statements are cached by.
_METHODS = {
    "aaggregate": "aggregate",
    "acount": "count",
    "adelete": "delete",
    "aexists": "exists",
    "afirst": "first",
    "aget": "get",
    "ajson": "_fetch_all",
    "alast": "last",
    "alist": "_fetch_all",
}


@dataclass(frozen=True)
class CacheExplanation:
    """Whether a method of a queryset has a cached statement. Print it to read it.

    If ``outcome`` is "hit", it has one, and neither Django's ``Query`` nor its compiler is used.
    After a "miss" it may have one from the next call on. With "bypass", Django compiles the
    statement each time, for the ``reason``. ``literals`` says why a statement is always executed
    with literals, if it can never be prepared.
    """

    label: str
    method: str
    outcome: Literal["hit", "miss", "bypass"]
    reason: str = ""
    sql: str = ""
    literals: str = ""

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        reason = f", since {self.reason}" if self.reason else ""
        yield f"{self.label}: {self.method}() is a {self.outcome}{reason}"
        if self.sql:
            yield f"  {self.sql}"
        if self.literals:
            yield f"  always with literals, since {self.literals}"


def explain_cache(
    queryset: QuerySet[Any, Any], method: str = "alist", *args: Any, **kwargs: Any
) -> CacheExplanation:
    """Explain whether the statement of a queryset's method is cached, and if not, why.

    No query is executed, nothing is traced or counted, and the queryset isn't changed. The routers
    are asked for its database. For ``aget(…)``, pass ``filter(…)`` and ``"aget"``. The arguments
    are those of ``aaggregate()``: ``explain_cache(cities, "aaggregate", Max("id"))``

    Raises ``TypeError`` for anything but a queryset of an ``AsyncManager``, and ``ValueError`` for
    a method whose statements aren't cached, or depend on more than the queryset.
    """
    if not isinstance(queryset, AsyncQuerySet):
        raise TypeError(
            "explain_cache() takes a queryset of an AsyncManager, not "
            f"{type(queryset).__qualname__}."
        )
    if method not in _METHODS:
        raise ValueError(f"explain_cache() explains {', '.join(_METHODS)}, not {method!r}.")
    if method == "aaggregate":
        found = lookup_aggregate(queryset, args, kwargs, CacheStatistics())
    elif args or kwargs:
        raise TypeError(f"explain_cache() takes arguments of aaggregate(), not of {method}().")
    else:
        name = _METHODS[method]
        found = lookup(queryset, name, queryset._cached, CacheStatistics())
    label = queryset.model._meta.label
    match found:
        case Miss():
            return CacheExplanation(label, method, "miss", found.reason)
        case Bypass():
            return CacheExplanation(label, method, "bypass", found.reason)
    return CacheExplanation(label, method, "hit", "", found.sql, found.statement.literals_reason)


def explain_shape(queryset: QuerySet[Any, Any], method: str = "alist") -> CacheExplanation:
    """Do what ``explain_cache()`` does. Deprecated: its former name."""
    warnings.warn(
        "explain_shape() is deprecated and will be removed in turbo-orm 0.3. Use explain_cache().",
        DeprecationWarning,
        stacklevel=2,
    )
    return explain_cache(queryset, method)


def cache_info() -> CacheInfo:
    """Return the hits, misses, bypasses and the size of this process's query cache."""
    return cache.info()
