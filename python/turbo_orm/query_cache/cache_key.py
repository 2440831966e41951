"""The cache key of a call: what of its arguments decides the SQL, apart from the values.

``City.objects.filter(country__code="jp", population__gt=n)`` has the key ``country__code`` of a
``str`` and ``population__gt`` of an ``int``, and two values, the extracted parameters. Two calls
with equal keys compile to the same SQL. An argument of which that is not certain (a queryset, an
expression of a third party, a ``dict``) raises ``NoCacheKey``: Django compiles such a call each
time.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import F, Model, Q
from django.db.models.expressions import BaseExpression, Combinable
from django.utils.functional import cached_property

# Hashable, all of them: types are, whatever the stubs say of their metaclasses.
type Key = tuple[Any, ...]
type Arguments = tuple[tuple[Any, ...], dict[str, Any]]

# Longer lists than this are not worth a cache entry for each length.
LONGEST = 200

_PLAIN: frozenset[type] = frozenset(
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
_VALUES = (*_PLAIN, Model)
_SETS = {frozenset, set}
_SEQUENCES = {list, tuple, *_SETS}

# Expressions of these packages compile to what their attributes say, and to nothing else.
_TRUSTED = ("django.db.models.", "django.contrib.postgres.")
_QUERIES = "django.db.models.sql."


class NoCacheKey(Exception):
    """An argument has no cache key. Says which."""


def of_lookups(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Key, list[Any]]:
    """Return the key and the values of the arguments of ``filter()``.

    Raises ``NoCacheKey``.
    """
    key: list[Any] = []
    values: list[Any] = []
    for arg in args:
        _add_condition(arg, key, values)
    for name, value in kwargs.items():
        key.append(name)
        kind = type(value)
        if kind in _PLAIN:
            key.append(kind)
            values.append(value)
        else:
            _add_value(name, value, key, values)
    return tuple(key), values


def of_names(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Key, list[Any]]:
    """Return the key of names, expressions and options: constants and all, without values.

    Raises ``NoCacheKey``.
    """
    key = [arg if type(arg) is str else _literal(arg) for arg in args]
    for name, value in kwargs.items():
        key += (name, _literal(value))
    return tuple(key), []


def of_slice(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Key, list[Any]]:
    """Return the key of a slice (whether it has a start and a stop), and the slice as its value.

    Raises ``NoCacheKey``, also for a slice that selects no rows, or all.
    """
    (bounds,) = args
    start, stop = bounds.start, bounds.stop
    if type(start) not in (int, type(None)) or type(stop) not in (int, type(None)):
        raise NoCacheKey("a slice by something else than integers")
    start = start or 0
    if start < 0 or (start == 0 if stop is None else stop <= start):
        raise NoCacheKey("a slice without rows, or with all of them")
    return (start > 0, stop is not None), [slice(start or None, stop)]


def map_values(
    args: Sequence[Any], kwargs: Mapping[str, Any], replaced: Callable[[Any], Any]
) -> Arguments:
    """Return lookups with each value replaced, in the order that ``of_lookups()`` has them in."""
    return (
        tuple([_map_condition(arg, replaced) for arg in args]),
        {name: _map_value(value, replaced) for name, value in kwargs.items()},
    )


def _add_condition(condition: Any, key: list[Any], values: list[Any]) -> None:
    if type(condition) is not Q:
        key.append(_literal(condition))
        return
    key += (Q, condition.connector, condition.negated, len(condition.children))
    for child in condition.children:
        if type(child) is tuple:
            name, value = child
            key.append(name)
            _add_value(name, value, key, values)
        else:
            _add_condition(child, key, values)


def _map_condition(condition: Any, replaced: Callable[[Any], Any]) -> Any:
    if type(condition) is not Q:
        return replaced(condition) if type(condition) is slice else condition
    mapped = Q(_connector=condition.connector, _negated=condition.negated)
    mapped.children = [
        (child[0], _map_value(child[1], replaced))
        if type(child) is tuple
        else _map_condition(child, replaced)
        for child in condition.children
    ]
    return mapped


def _add_value(name: str, value: Any, key: list[Any], values: list[Any]) -> None:
    kind = type(value)
    if value is None or kind is bool:
        key.append(value)
    elif kind in _SEQUENCES:
        if len(value) > LONGEST:
            raise NoCacheKey(f"a list of more than {LONGEST} values")
        if kind in _SETS and not name.endswith("__in"):
            # A copy may have another order, and for JSON a list is another value than a set.
            raise NoCacheKey(f"a {kind.__name__}")
        # The caller may change the list afterwards.
        copied = tuple(value) if kind is tuple else list(value)
        key += (kind, tuple([_kind_in_sequence(item) for item in copied]))
        values.append(copied)
    elif _is_value(value):
        key.append(kind)
        values.append(value)
    else:
        key.append(_literal(value))


def _map_value(value: Any, replaced: Callable[[Any], Any]) -> Any:
    if type(value) in _SEQUENCES or (type(value) is not bool and _is_value(value)):
        return replaced(value)
    return value


def _is_value(value: Any) -> bool:
    return isinstance(value, _VALUES)


def _kind_in_sequence(value: Any) -> Any:
    # Whether there is a NULL in a list, and where True and False are, may decide the SQL.
    if value is None or type(value) is bool:
        return value
    if not _is_value(value) or isinstance(value, Model):
        raise NoCacheKey(f"{type(value).__qualname__} in a list")
    return type(value)


def _literal(value: Any) -> Any:
    """Return the key of an object that is part of a cache key, its values included."""
    if value is None:
        return value
    if isinstance(value, type):
        # By itself, a type is the key of a value of that type.
        return type, value
    kind = type(value)
    if kind in _UNLIKE:
        return kind, repr(value)
    if kind in _PLAIN or kind is bool:
        # 1, 1.0 and True are equal.
        return kind, value
    if kind is F:
        return F, value.name
    if kind is Q:
        key: list[Any] = []
        values: list[Any] = []
        _add_condition(value, key, values)
        return tuple(key), tuple([_literal(each) for each in values])
    if kind in (tuple, list):
        return kind, tuple([_literal(each) for each in value])
    if isinstance(value, BaseExpression | Combinable):
        return _expression(value)
    raise NoCacheKey(f"{kind.__module__}.{kind.__qualname__}")


def _expression(value: Any) -> Any:
    """Return the key of an expression: its class and its attributes."""
    kind = type(value)
    if not kind.__module__.startswith(_TRUSTED) or kind.__module__.startswith(_QUERIES):
        raise NoCacheKey(f"{kind.__module__}.{kind.__qualname__}, which may do anything")
    state = vars(value)
    return kind, tuple(
        [(name, _held(state[name])) for name in sorted(state) if not _is_derived(kind, name)]
    )


def _is_derived(kind: type, name: str) -> bool:
    """Return whether an attribute is computed from others."""
    if name == "output_field":
        return False
    return name == "_constructor_args" or isinstance(getattr(kind, name, None), cached_property)


def _held(value: Any) -> Any:
    """Return the key of an attribute of an expression."""
    if hasattr(value, "get_internal_type"):
        return _field(value)
    if type(value) is dict:
        return dict, tuple([(name, _held(value[name])) for name in sorted(value)])
    if type(value) in (tuple, list):
        return type(value), tuple([_held(each) for each in value])
    return _literal(value)


def _field(field: Any) -> Any:
    kind = type(field)
    if not kind.__module__.startswith(_TRUSTED) or hasattr(field, "base_field"):
        # What is inside may be a third party's.
        raise NoCacheKey(f"{kind.__module__}.{kind.__qualname__}")
    if hasattr(field, "model"):
        return field
    _, _, args, kwargs = field.deconstruct()
    return kind, _literal(args), tuple([(name, _literal(kwargs[name])) for name in sorted(kwargs)])


def names_of_values(kwargs: Mapping[str, Any]) -> list[str]:
    """Return the names of the lookups whose values are no part of the key."""
    return [
        name for name, value in kwargs.items() if _map_value(value, lambda _: _A_VALUE) is _A_VALUE
    ]


_A_VALUE = object()
