"""Tracer values, and a query of Django's whose lookups pass them on to their parameters.

A ``Tracer`` stands for a value of a call. ``TracingQuery`` compiles it as Django does, and each
parameter that a lookup makes of it says which value it is from. Lookups, transforms and join
conditions have to be Django's: those of a third party may do anything, so a statement with one is
not cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db.models.sql import Query


class NotCacheable(Exception):
    """A statement cannot be cached. Says why."""


class Tracer:
    """A value by its slot, and the lookups that Django made of it."""

    def __init__(self, slot: int, value: Any) -> None:
        self.slot = slot
        self.value = value
        self.lookups: list[Any] = []


def tracers(values: Sequence[Any]) -> list[Any]:
    """Return a tracer for each value but slices, which go into no lookup."""
    return [
        value if type(value) is slice else Tracer(slot, value) for slot, value in enumerate(values)
    ]


class TracedParameter:
    """A parameter, the slot of the value that it is made of, and its index among that one's."""

    def __init__(self, slot: int, index: int, value: Any) -> None:
        self.slot = slot
        self.index = index
        self.value = value

    def _identity(self) -> tuple[int, int]:
        return (self.slot, self.index)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TracedParameter) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())


class _TracingLookup:
    """A lookup that returns traced parameters. Mixed into its class."""

    _slot: int
    _plain_class: type

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        plain = self.copy()  # type: ignore[attr-defined]
        plain.__class__ = self._plain_class
        sql, params = compiler.compile(plain)
        return sql, [TracedParameter(self._slot, *numbered) for numbered in enumerate(params)]

    as_postgresql = as_sql


@cache
def _tracing_class(lookup_class: type) -> type:
    return type(
        lookup_class.__name__, (_TracingLookup, lookup_class), {"_plain_class": lookup_class}
    )


class TracingQuery(Query):
    """A query whose lookups know which tracer they are made of."""

    _tracer: Tracer | None = None

    def build_filter(self, filter_expr: Any, *args: Any, **kwargs: Any) -> Any:
        outer, self._tracer = self._tracer, None
        if isinstance(filter_expr, tuple) and isinstance(filter_expr[1], Tracer):
            self._tracer = filter_expr[1]
            filter_expr = (filter_expr[0], self._tracer.value)
        try:
            return super().build_filter(filter_expr, *args, **kwargs)
        finally:
            self._tracer = outer

    def build_lookup(self, lookups: Any, lhs: Any, rhs: Any) -> Any:
        lookup: Any = super().build_lookup(lookups, lhs, rhs)
        tracer = self._tracer
        if lookup is not None and not type(lookup).__module__.startswith("django."):
            raise NotCacheable(f"{type(lookup).__qualname__} is a lookup of a third party")
        if tracer is not None and lookup is not None:
            tracer.lookups.append(lookup.copy())
            plain: Any = type(lookup)
            lookup.__class__ = _tracing_class(plain)
            lookup._slot = tracer.slot
        return lookup

    def try_transform(self, *args: Any, **kwargs: Any) -> Any:
        transform = super().try_transform(*args, **kwargs)
        if not type(transform).__module__.startswith("django."):
            raise NotCacheable(f"{type(transform).__qualname__} is a transform of a third party")
        return transform

    def join(self, join: Any, *args: Any, **kwargs: Any) -> Any:
        field = getattr(join, "join_field", None)
        restricts = getattr(type(field), "get_extra_restriction", None)
        if restricts is not None and not restricts.__module__.startswith("django."):
            raise NotCacheable(f"{field} restricts its joins by code of its own")
        return super().join(join, *args, **kwargs)

    def split_exclude(self, filter_expr: Any, *args: Any, **kwargs: Any) -> Any:
        tracer = self._tracer
        if tracer is not None:
            # A query of its own is made of it.
            filter_expr = (filter_expr[0], tracer)
        return super().split_exclude(filter_expr, *args, **kwargs)
