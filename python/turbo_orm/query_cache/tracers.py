"""A query of Django's whose lookups know of which marked values they are made.

Their parameters say so, too. Lookups, transforms and conditions of joins are to be Django's own:
what somebody else has written may do anything, and is not learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db.models.sql import Query


class Unlearnable(Exception):
    """No statement can be learnt. Says why."""


class Marked:
    """A value, and the lookups that Django made of it."""

    def __init__(self, slot: int, value: Any) -> None:
        self.slot = slot
        self.value = value
        self.lookups: list[Any] = []


def marks(values: Sequence[Any]) -> list[Any]:
    """Return values that are marked, but for the bounds of a slice, which go into no lookup."""
    return [
        value if type(value) is slice else Marked(slot, value) for slot, value in enumerate(values)
    ]


class Parameter:
    """A parameter that a lookup gave, of one of the values."""

    def __init__(self, slot: int, index: int, value: Any) -> None:
        self.slot = slot
        self.index = index
        self.value = value

    def _identity(self) -> tuple[int, int]:
        return (self.slot, self.index)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parameter) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())


class _MarkedLookup:
    """A lookup that marks its parameters. Mixed into its class."""

    _slot: int
    _plain_class: type

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        plain = self.copy()  # type: ignore[attr-defined]
        plain.__class__ = self._plain_class
        sql, params = compiler.compile(plain)
        return sql, [Parameter(self._slot, *numbered) for numbered in enumerate(params)]

    as_postgresql = as_sql


@cache
def _marked_class(lookup_class: type) -> type:
    return type(
        lookup_class.__name__, (_MarkedLookup, lookup_class), {"_plain_class": lookup_class}
    )


class LearningQuery(Query):
    """A query whose lookups know of which marked value they are made."""

    _marked: Marked | None = None

    def build_filter(self, filter_expr: Any, *args: Any, **kwargs: Any) -> Any:
        outer, self._marked = self._marked, None
        if isinstance(filter_expr, tuple) and isinstance(filter_expr[1], Marked):
            self._marked = filter_expr[1]
            filter_expr = (filter_expr[0], self._marked.value)
        try:
            return super().build_filter(filter_expr, *args, **kwargs)
        finally:
            self._marked = outer

    def build_lookup(self, lookups: Any, lhs: Any, rhs: Any) -> Any:
        lookup: Any = super().build_lookup(lookups, lhs, rhs)
        marked = self._marked
        if lookup is not None and not type(lookup).__module__.startswith("django."):
            raise Unlearnable(f"{type(lookup).__qualname__} is a lookup of somebody's own")
        if marked is not None and lookup is not None:
            marked.lookups.append(lookup.copy())
            plain: Any = type(lookup)
            lookup.__class__ = _marked_class(plain)
            lookup._slot = marked.slot
        return lookup

    def try_transform(self, *args: Any, **kwargs: Any) -> Any:
        transform = super().try_transform(*args, **kwargs)
        if not type(transform).__module__.startswith("django."):
            raise Unlearnable(f"{type(transform).__qualname__} is a transform of somebody's own")
        return transform

    def join(self, join: Any, *args: Any, **kwargs: Any) -> Any:
        field = getattr(join, "join_field", None)
        restricts = getattr(type(field), "get_extra_restriction", None)
        if restricts is not None and not restricts.__module__.startswith("django."):
            raise Unlearnable(f"{field} restricts its joins by code of its own")
        return super().join(join, *args, **kwargs)

    def split_exclude(self, filter_expr: Any, *args: Any, **kwargs: Any) -> Any:
        marked = self._marked
        if marked is not None:
            # A query of its own is made of it.
            filter_expr = (filter_expr[0], marked)
        return super().split_exclude(filter_expr, *args, **kwargs)
