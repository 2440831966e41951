"""The cache key of a call: what of its arguments decides the SQL, apart from the values.

``City.objects.filter(country__code="jp", population__gt=n)`` has the key ``country__code`` of a
``str`` and ``population__gt`` of an ``int``, and two values, the extracted parameters. So are the
constants of expressions: ``F("population") + 5``. Of a queryset with a chain, or of a subquery
made of one, the key is the chain's entry, and the values are the chain's. Two calls with equal
keys compile to the same SQL. An argument of which that is not certain (an expression with code of
its own) raises ``NoCacheKey``: Django compiles such a call each time.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F, FilteredRelation, Model, OuterRef, Q, QuerySet, Value, WindowFrame
from django.db.models.expressions import BaseExpression, Combinable, WindowFrameExclusion

from turbo_orm.query_cache.cached_chain import NestedChain
from turbo_orm.query_cache.declared_classes import is_trusted, known_names, names_of
from turbo_orm.query_cache.no_cache_key import NoCacheKey
from turbo_orm.query_cache.subquery import CHAIN

# Hashable, all of them: types are, whatever the stubs say of their metaclasses.
type Key = tuple[Any, ...]

# Longer lists than this are not worth a cache entry for each length.
LONGEST = 200

PLAIN: frozenset[type] = frozenset(
    {
        bytes,
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        float,
        int,
        str,
        uuid.UUID,
    }
)
# Types whose equal values may differ for the server: 0.0 and -0.0, 1.0 and 1.00,
# noon in two time zones.
_UNLIKE = {datetime.datetime, datetime.time, decimal.Decimal, float}
VALUES = (*PLAIN, Model)
_SETS = {frozenset, set}
_OF_SUBQUERY = {CHAIN, "extra", "template"}
SEQUENCES = {list, tuple, *_SETS}


def of_lookups(
    args: Sequence[Any], kwargs: Mapping[str, Any], takes_querysets: bool = True
) -> tuple[Key, list[Any]]:
    """Return the key and the values of the arguments of ``filter()``.

    Raises ``NoCacheKey``.
    """
    key: list[Any] = []
    values: list[Any] = []
    constants: Constants | None = None
    for arg in args:
        constants = constants or Constants(values, takes_querysets)
        _add_condition(arg, key, constants)
    for name, value in kwargs.items():
        key.append(name)
        kind = type(value)
        if kind in PLAIN:
            key.append(kind)
            values.append(value)
        else:
            constants = constants or Constants(values, takes_querysets)
            _add_value(name, value, key, constants)
    return tuple(key), values


def of_names(
    args: Sequence[Any], kwargs: Mapping[str, Any], takes_querysets: bool = True
) -> tuple[Key, list[Any]]:
    """Return the key of names, expressions and options, and the constants of the expressions.

    Raises ``NoCacheKey``.
    """
    values: list[Any] = []
    constants = Constants(values, takes_querysets)
    key = [arg if type(arg) is str else literal(arg, constants) for arg in args]
    if kwargs:
        # Names are strings on both sides: values("x", Lower("y")), values(x=Lower("y")).
        key.append(dict)
    for name, value in kwargs.items():
        key += (name, literal(value, constants))
    return tuple(key), values


def names_of_values(kwargs: Mapping[str, Any]) -> list[str | None]:
    """Return the name of the lookup of each value, ``None`` for a constant of an expression."""
    values: list[Any] = []
    constants = Constants(values)
    names: list[str | None] = []
    for name, value in kwargs.items():
        _add_value(name, value, [], constants)
        is_plain = len(values) == len(names) + 1 and not is_expression(value)
        names += [name if is_plain else None] * (len(values) - len(names))
    return names


def _add_condition(condition: Any, key: list[Any], constants: Constants) -> None:
    if type(condition) is not Q:
        key.append(literal(condition, constants))
        return
    key += (Q, condition.connector, condition.negated, len(condition.children))
    for child in condition.children:
        if type(child) is tuple:
            name, value = child
            key.append(name)
            _add_value(name, value, key, constants)
        else:
            _add_condition(child, key, constants)


def _add_value(name: str, value: Any, key: list[Any], constants: Constants) -> None:
    kind, values = type(value), constants.values
    if issubclass(kind, QuerySet):
        key += (QuerySet, _nested(NestedChain.of(value), constants))
    elif value is None or kind is bool:
        key.append(value)
    elif kind in SEQUENCES:
        if kind in _SETS and not name.endswith("__in"):
            # A copy may have another order, and for JSON a list is another value than a set.
            raise NoCacheKey(f"a {kind.__name__}")
        # The caller may change the list afterwards.
        copied = tuple(value) if kind is tuple else list(value)
        kinds: tuple[Any, ...] = (*{*map(type, copied)},)
        # Where they are of one such type, its length is none of the key: see **expanding**.
        if len(kinds) != 1 or kinds[0] not in PLAIN or not name.endswith("__in"):
            kinds = tuple([_kind_in_sequence(item) for item in copied])
            if len(kinds) > LONGEST:
                raise NoCacheKey(f"a list of more than {LONGEST} values")
        key += (kind, kinds)
        values.append(copied)
    elif kind is dict or isinstance(value, VALUES):
        # Of a dict Django makes no copy either.
        key.append(kind)
        values.append(value)
    else:
        key.append(literal(value, constants))


def _kind_in_sequence(value: Any) -> Any:
    # Whether there is a NULL in a list, and where True and False are, may decide the SQL.
    if value is None or type(value) is bool:
        return value
    if not isinstance(value, VALUES) or isinstance(value, Model):
        raise NoCacheKey(f"{type(value).__qualname__} in a list")
    return type(value)


class Constants:
    """Collects values, and with them the constants of expressions. Equal ones are one value."""

    def __init__(self, values: list[Any], takes_querysets: bool = True) -> None:
        self.values = values
        #: Whether values of querysets may be among them.
        self.takes_querysets = takes_querysets
        self._indexes: dict[Any, int] = {}

    def index(self, value: Any) -> int:
        """Return the index of a constant among the values."""
        key = literal(value)
        index = self._indexes.get(key)
        if index is None:
            index = self._indexes[key] = len(self.values)
            self.values.append(value)
        return index


def is_expression(value: Any) -> bool:
    return isinstance(value, BaseExpression | Combinable)


def is_constant(expression: Any) -> bool:
    return type(expression) is Value and type(expression.value) in PLAIN


def literal(value: Any, constants: Constants | None = None) -> Any:
    """Return the key of an object that is part of a cache key, its values included.

    With ``constants``, those of an expression are collected there instead.
    """
    if value is None:
        return value
    kind = type(value)
    if issubclass(kind, type):
        # By itself, a type is the key of a value of that type.
        return type, value
    if kind in _UNLIKE:
        return kind, repr(value)
    if kind in PLAIN or kind is bool:
        # 1, 1.0 and True are equal.
        return kind, value
    if kind is F or kind is OuterRef:
        return kind, value.name if type(value.name) is str else literal(value.name)
    if kind is Q:
        key: list[Any] = []
        if constants is not None:
            _add_condition(value, key, constants)
            return tuple(key)
        values: list[Any] = []
        _add_condition(value, key, Constants(values))
        return tuple(key), tuple([literal(each) for each in values])
    if kind in (tuple, list):
        return kind, tuple([literal(each, constants) for each in value])
    if is_expression(value):
        return _expression(value, constants)
    if issubclass(kind, QuerySet):
        return QuerySet, _nested(NestedChain.of(value), constants)
    if kind is FilteredRelation:
        return kind, value.relation_name, literal(value.condition, constants)
    if kind in {datetime.timezone, WindowFrameExclusion} or (kind is ZoneInfo and value.key):
        return kind, repr(value)
    raise NoCacheKey(f"{kind.__module__}.{kind.__qualname__}")


def _nested(chain: NestedChain, constants: Constants | None) -> Key:
    """Return the key of a nested chain, and collect its values."""
    if constants is None or not constants.takes_querysets:
        raise NoCacheKey("a queryset")
    constants.values += chain.own_values
    return chain.key


def _expression(value: Any, constants: Constants | None) -> Any:
    """Return the key of an expression: its class and its attributes."""
    kind = type(value)
    state = value.__dict__
    names = known_names.get((kind, *state)) or names_of(kind, state)
    if type(names) is str:
        raise NoCacheKey(names)
    if (chain := state.get(CHAIN)) is not None:
        nested = _nested(chain, constants)
        is_plain = state.keys() <= _OF_SUBQUERY and not state["extra"]
        if is_plain and state.get("template", kind.template) is kind.template:
            return kind, nested
        own = [name for name in names if name not in (CHAIN, "_constructor_args")]
        return kind, nested, tuple([(name, _held(state[name], None)) for name in own])
    key: list[Any] = [kind, names]
    if kind is Value and constants is not None and type(value.value) in PLAIN:
        key += (type(value.value), constants.index(value.value))
        key += [_held(state[name], None) for name in names if name != "value"]
        return tuple(key)
    if isinstance(value, WindowFrame):
        # Django writes its numbers into the SQL.
        constants = None
    # Most are of these types. A call for each would take most of the time.
    for name in names:
        held = state[name]
        of = type(held)
        if name == "_constructor_args":
            constants = None
        if held is None or of is bool or of is str:
            key.append(held)
        elif of is dict and not held:
            key.append(of)
        elif of is list or of is tuple:
            key += (of, len(held))
            key += [
                (F, each.name)  # type: ignore[attr-defined]
                if type(each) is F
                else _held(each, constants)
                for each in held
            ]
        else:
            key.append(_held(held, constants))
    return tuple(key)


def _held(value: Any, constants: Constants | None) -> Any:
    """Return the key of an attribute of an expression."""
    if hasattr(value, "get_internal_type"):
        return _field(value)
    if type(value) is dict:
        return dict, tuple([(name, _held(value[name], constants)) for name in sorted(value)])
    if type(value) in (tuple, list):
        return type(value), tuple([_held(each, constants) for each in value])
    return literal(value, constants)


def _field(field: Any) -> Any:
    kind = type(field)
    if not is_trusted(kind):
        raise NoCacheKey(f"{kind.__module__}.{kind.__qualname__}")
    # What is inside may be a third party's. The base of a range is its class.
    base = getattr(field, "base_field", None)
    inside = _field(base) if base is not None and not isinstance(base, type) else None
    if hasattr(field, "model"):
        return field
    _, _, args, kwargs = field.deconstruct()
    kwargs.pop("base_field", None)
    options = tuple([(name, literal(kwargs[name])) for name in sorted(kwargs)])
    return kind, inside, literal(args), options
