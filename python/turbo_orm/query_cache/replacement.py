"""What takes the place of the values of a call, and of the querysets that are its arguments.

The arguments are taken apart as **cache_key** does that, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

from django.db.models import F, FilteredRelation, OuterRef, Q, QuerySet, Value, When, WindowFrame
from django.db.models.expressions import BaseExpression
from django.db.models.sql import Query

from turbo_orm.query_cache.cache_key import (
    PLAIN,
    SEQUENCES,
    VALUES,
    is_constant,
    is_expression,
    literal,
)
from turbo_orm.query_cache.cached_chain import NestedChain
from turbo_orm.query_cache.declared_classes import is_derived
from turbo_orm.query_cache.no_cache_key import NoCacheKey
from turbo_orm.query_cache.subquery import CHAIN, SubqueryTemplate

type Arguments = tuple[tuple[Any, ...], dict[str, Any]]

# Arguments of these types that are no keyword are names.
_NAMES = {*PLAIN, list, tuple}
# The methods whose keywords are lookups, or fields with values for them.
_OF_LOOKUPS = {"_filter_prefetch", "exclude", "filter", "update"}


class Replacement:
    """Returns what takes the place of a value, or of a queryset or subquery.

    That is its ``NestedChain`` with the values replaced, or what ``build`` makes of it.
    """

    def __init__(
        self, value: Callable[[Any], Any], build: Callable[[NestedChain], Any] | None
    ) -> None:
        self._value = value
        self._build = build

    def __call__(self, value: Any) -> Any:
        return self._value(value)

    def nested(self, value: Any) -> Any:
        """Return what takes the place of a queryset or a subquery, ``None`` for anything else."""
        if type(value) is NestedChain:
            chain = value
        elif issubclass(type(value), QuerySet):
            chain = NestedChain.of(value)
        elif isinstance(value, BaseExpression) and CHAIN in vars(value):
            chain = copy(vars(value)[CHAIN])
            chain.expression = SubqueryTemplate(value)
        else:
            return None
        renewed = chain.renewed(self._value)
        return renewed if self._build is None else self._build(renewed)


def map_values(
    method: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    replaced: Callable[[Any], Any],
    build: Callable[[NestedChain], Any] | None = None,
) -> Arguments:
    """Return a method's arguments with each value replaced, in the order that its key has.

    A queryset or a subquery is replaced by its ``NestedChain``, or by what ``build`` makes of it.
    """
    seen: dict[Any, Any] = {}
    literals: Any = () if method in _OF_LOOKUPS else _NAMES
    replaced = Replacement(replaced, build)
    return (
        tuple([_map_condition(arg, replaced, seen) for arg in args]),
        {name: _map_value(value, replaced, seen, literals) for name, value in kwargs.items()},
    )


def _map_condition(condition: Any, replaced: Replacement, seen: dict[Any, Any]) -> Any:
    if type(condition) is not Q:
        return _map_value(condition, replaced, seen, _NAMES)
    mapped = Q(_connector=condition.connector, _negated=condition.negated)
    mapped.children = [
        (child[0], _map_value(child[1], replaced, seen))
        if type(child) is tuple
        else _map_condition(child, replaced, seen)
        for child in condition.children
    ]
    seen[id(condition)] = mapped
    return mapped


def _map_value(value: Any, replaced: Replacement, seen: dict[Any, Any], literals: Any = ()) -> Any:
    kind = type(value)
    is_compared = (
        kind in SEQUENCES or kind is dict or (kind is not bool and isinstance(value, VALUES))
    )
    if kind is slice or (is_compared and kind not in literals):
        return replaced(value)
    return _map_literal(value, replaced, seen)


def _map_literal(value: Any, replaced: Replacement, seen: dict[Any, Any]) -> Any:
    """Return what ``literal()`` has taken apart, with its constants replaced."""
    kind = type(value)
    if kind is Q:
        return _map_condition(value, replaced, seen)
    if kind is dict:
        mapped = {name: _map_literal(value[name], replaced, seen) for name in sorted(value)}
        return {name: mapped[name] for name in value}
    if kind in (tuple, list):
        return kind([_map_literal(each, replaced, seen) for each in value])
    if kind is FilteredRelation:
        condition = _map_condition(value.condition, replaced, seen)
        return FilteredRelation(value.relation_name, condition=condition)
    if (nested := replaced.nested(value)) is not None:
        seen[id(value)] = nested
        return nested
    if isinstance(value, Query):
        # Django, or another thread, has read that of a subquery since its key was made.
        raise NoCacheKey("a queryset whose query was read")
    if not is_expression(value) or kind in (F, OuterRef) or isinstance(value, WindowFrame):
        return value
    if is_constant(value):
        constant = literal(value.value)
        if constant not in seen:
            seen[constant] = replaced(value.value)
        return _renewed(value, seen[constant])
    state = vars(value)
    copied: Any = copy(value)
    for name in sorted(state):
        if is_derived(kind, name):
            if name != "_constructor_args":
                copied.__dict__.pop(name, None)
        elif not hasattr(state[name], "get_internal_type"):
            copied.__dict__[name] = _map_literal(state[name], replaced, seen)
    seen[id(value)] = copied
    # It is compared by these, once all constants are replaced.
    if "_constructor_args" in state:
        copied._constructor_args = _map_argument(state["_constructor_args"], seen)
        if isinstance(value, When) and type(copied.condition) is Q:
            # Its lookups may have been given as keywords, with their values.
            args, options = copied._constructor_args
            lookups = [each for each in copied.condition.children if type(each) is tuple]
            renewed = {**options, **{name: each for name, each in lookups if name in options}}
            copied._constructor_args = (args, renewed)
    return copied


def _map_argument(argument: Any, seen: dict[Any, Any]) -> Any:
    """Return an argument that an expression was made of, with what was replaced in that."""
    kind = type(argument)
    if kind is dict:
        return {name: _map_argument(each, seen) for name, each in argument.items()}
    if kind in (tuple, list):
        return kind([_map_argument(each, seen) for each in argument])
    if kind in PLAIN:
        value = seen.get(literal(argument), argument)
        return value.value if hasattr(value, "constant") else value
    if is_constant(argument):
        value = seen.get(literal(argument.value))
        return argument if value is None else _renewed(argument, value)
    return seen.get(id(argument), argument)


def _renewed(constant: Value, value: Any) -> Any:
    """Return the expression of a constant with another value, or for a tracer."""
    if hasattr(value, "constant"):
        return value.constant(constant)
    copied = copy(constant)
    copied.value = value
    # It is compared by these.
    arguments: Any = constant
    _, options = arguments._constructor_args
    others = {name: option for name, option in options.items() if name == "output_field"}
    copied.__dict__["_constructor_args"] = ((value,), others)
    copied.__dict__.pop("identity", None)
    return copied
