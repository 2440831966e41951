"""Tracer values, and a query of Django's whose lookups pass them on to their parameters.

A ``Tracer`` stands for a value of a call. ``TracingQuery`` compiles it as Django does, and each
parameter that a lookup makes of it says which value it is from. Lookups, transforms and join
conditions have to be Django's, or to say by their attributes what they compile to
(**declared_classes**): a statement with any other is not cached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cache
from inspect import getattr_static
from typing import Any

from django.db.models import ForeignObjectRel, Q, Subquery, Value
from django.db.models.sql import Query
from django.db.models.sql.datastructures import MultiJoin

from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.query_cache import cache_key, content_types
from turbo_orm.query_cache.declared_classes import uncertainty
from turbo_orm.query_cache.no_cache_key import NoCacheKey

#: What a subquery is that is compared with a value: Django unwraps most since 6.0.
SUBQUERIES = (Query, Subquery)


class NotCacheable(Exception):
    """A statement cannot be cached. Says why."""


class Tracer:
    """A value by its slot, and the lookups that Django made of it."""

    def __init__(self, slot: int, value: Any) -> None:
        self.slot = slot
        self.value = value
        self.lookups: list[Any] = []
        #: The lookups that Django will make of it when it joins a ``FilteredRelation``.
        self.later: list[Any] = []
        #: Whether it stands for a constant of an expression, and what that was compiled as.
        self.is_constant = False
        self.constants: list[tuple[Value, Any]] = []

    def constant(self, expression: Value) -> Any:
        """Return the expression of a constant with the value, whose parameters say so."""
        self.is_constant = True
        traced: Any = copy(expression)
        traced.__class__ = _TracedConstant
        traced.value = self.value
        traced._tracer = self
        traced.__dict__["_constructor_args"] = ((self.value,), {})
        return traced

    def add_constant(self, expression: Value, compiled: Any) -> int:
        """Note how a constant was compiled, and return its index among those."""
        for index, (_, other) in enumerate(self.constants):
            if other == compiled:
                return index
        self.constants.append((expression, compiled))
        return len(self.constants) - 1


class _TracedConstant(Value):
    """A constant that returns traced parameters."""

    _tracer: Tracer

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        plain: Any = copy(self)
        plain.__class__ = Value
        del plain._tracer
        sql, params = compiler.compile(plain)
        if len(params) != 1:
            raise NotCacheable("a constant becomes no parameter")
        tracer = self._tracer
        (param,) = params
        index = tracer.add_constant(plain, (sql, type(param), repr(param)))
        return sql, [TracedParameter(tracer.slot, index, param)]


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
        # Those of what is compared may be of other values. Of a subquery, none is of this one.
        before = self._params_of_subquery(compiler)
        if tuple(params[: len(before)]) != before:
            raise NotCacheable("a subquery is compared in another way")
        return sql, [
            *before,
            *[
                each if type(each) is TracedParameter else TracedParameter(self._slot, index, each)
                for index, each in enumerate(params[len(before) :])
            ],
        ]

    def _params_of_subquery(self, compiler: Any) -> tuple[Any, ...]:
        lhs: Any = self.lhs  # type: ignore[attr-defined]
        return tuple(compiler.compile(lhs)[1]) if isinstance(lhs, SUBQUERIES) else ()

    as_postgresql = as_sql


@cache
def _tracing_class(lookup_class: type) -> type:
    return type(
        lookup_class.__name__, (_TracingLookup, lookup_class), {"_plain_class": lookup_class}
    )


def trace_lookup(lookup: Any, tracer: Tracer) -> None:
    """Have a lookup of a tracer's value return traced parameters."""
    tracer.lookups.append(lookup.copy())
    plain: Any = type(lookup)
    lookup.__class__ = _tracing_class(plain)
    lookup._slot = tracer.slot


# What of a field decides the SQL. What it makes of values is asked of it for each.
_DECIDING = (
    "cached_col",
    "cast_db_type",
    "column",
    "foreign_related_fields",
    "get_col",
    "get_extra_restriction",
    "get_joining_fields",
    "get_lookup",
    "get_lookups",
    "get_path_info",
    "get_placeholder",
    "get_placeholder_sql",
    "get_reverse_joining_fields",
    "get_reverse_path_info",
    "get_transform",
    "local_related_fields",
    "path_infos",
    "related_fields",
    "resolve_related_fields",
    "reverse_path_infos",
    "select_format",
    "target_field",
)


def require_djangos_sql(field: Any) -> None:
    """Raise ``NotCacheable`` if a field has code of its own decide the SQL.

    It may read whatever it likes: a language, a tenant, the time.
    """
    if isinstance(field, ForeignObjectRel):
        # Its methods are those of the field that it is the other side of.
        require_djangos_sql(field.field)
    if name := _deciding_method(type(field)):  # type: ignore[arg-type]
        raise NotCacheable(f"{field} has {name} of its own, by which it decides the SQL")


@cache
def _deciding_method(field_class: type) -> str:
    for name in _DECIDING:
        if not is_own(getattr_static(field_class, name, None)):
            return name
    return ""


def _values_in(condition: Any) -> Iterator[Any]:
    """Yield the values of the lookups in a ``Q``."""
    for child in condition.children:
        if isinstance(child, Q):
            yield from _values_in(child)
        elif isinstance(child, tuple):
            yield child[1]


def _require_declared(expression: Any) -> None:
    """Raise ``NotCacheable`` if a lookup or a transform has code of its own."""
    kind = type(expression)
    if not kind.__module__.startswith("django.") and (why := uncertainty(kind)):
        raise NotCacheable(f"it uses {why}")


def require_djangos_ordering(model: Any) -> None:
    """Raise ``NotCacheable`` if a model is ordered by an expression of a third party."""
    try:
        cache_key.of_names(model._meta.ordering or (), {})
    except NoCacheKey as exc:
        raise NotCacheable(f"{model._meta.label} is ordered by {exc}") from None


def _traced_path(path: Sequence[Any]) -> list[Any]:
    """Return the joins of a path, with content types that can be recognised."""
    for each in path:
        require_djangos_sql(each.join_field)
    return [each._replace(join_field=content_types.traced(each.join_field)) for each in path]


class TracingQuery(Query):
    """A query whose lookups know which tracer they are made of."""

    _tracer: Tracer | None = None

    @classmethod
    def nested(cls, model: Any) -> TracingQuery:
        """Return the query of a nested chain. Django may add the model's ordering."""
        require_djangos_ordering(model)
        return cls(model)

    @staticmethod
    def require_columns(model: Any) -> None:
        """Raise ``NotCacheable`` unless the SQL of all columns of a model is Django's."""
        for field in model._meta.concrete_fields:
            require_djangos_sql(field)

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
        if lookup is not None:
            _require_declared(lookup)
        if tracer is not None and lookup is not None:
            trace_lookup(lookup, tracer)
        return lookup

    def try_transform(self, *args: Any, **kwargs: Any) -> Any:
        transform = super().try_transform(*args, **kwargs)
        _require_declared(transform)
        return transform

    def names_to_path(self, *args: Any, **kwargs: Any) -> Any:
        try:
            path, final_field, targets, names = super().names_to_path(*args, **kwargs)
        except MultiJoin as exc:
            exc.names_with_path = [
                (name, _traced_path(path)) for name, path in exc.names_with_path
            ]
            raise
        for field in (final_field, *targets):
            require_djangos_sql(field)
        if final_field.is_relation and final_field.related_model is not None:
            require_djangos_ordering(final_field.related_model)
        path = _traced_path(path)
        return path, final_field, targets, names

    def add_filtered_relation(self, filtered_relation: Any, alias: str) -> None:
        super().add_filtered_relation(filtered_relation, alias)
        joined = self.clone()
        joined.setup_joins([alias], joined.get_meta(), joined.get_initial_alias())
        for value in _values_in(filtered_relation.condition):
            if isinstance(value, Tracer):
                value.lookups, value.later = [], value.lookups

    def split_exclude(self, filter_expr: Any, *args: Any, **kwargs: Any) -> Any:
        tracer = self._tracer
        if tracer is not None:
            # A query of its own is made of it.
            filter_expr = (filter_expr[0], tracer)
        return super().split_exclude(filter_expr, *args, **kwargs)
