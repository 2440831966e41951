"""Takes a call's arguments apart: what decides the SQL, and the values that only go into it.

``City.objects.filter(country__code="jp", population__gt=n)`` is the structure ``country__code`` of
a ``str`` and ``population__gt`` of an ``int``, and two values. Two calls of equal structure give
the same SQL. What cannot be told apart with certainty (a queryset, an expression of somebody's
own, a ``dict``) raises ``Opaque``: such a call goes to Django each time.
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

# Longer lists than this are not worth a structure for each length.
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
# Those of which several are equal that are not the same to the server: 0.0 and -0.0, 1.0 and 1.00,
# noon in two time zones.
_UNLIKE = {datetime.datetime, datetime.time, decimal.Decimal, float}
_VALUES = (*_PLAIN, Model)
_SETS = {frozenset, set}
_SEQUENCES = {list, tuple, *_SETS}

# Expressions of these packages are nothing but what their arguments say.
_TRUSTED = ("django.db.models.", "django.contrib.postgres.")
_QUERIES = "django.db.models.sql."


class Opaque(Exception):
    """An argument cannot be told apart into structure and values. Says which."""


def of_lookups(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Key, list[Any]]:
    """Return the structure and the values of what ``filter()`` takes.

    Raises ``Opaque``.
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
    """Return the structure of names, expressions and options, which have no values.

    Raises ``Opaque``.
    """
    key = [arg if type(arg) is str else _literal(arg) for arg in args]
    for name, value in kwargs.items():
        key += (name, _literal(value))
    return tuple(key), []


def of_slice(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Key, list[Any]]:
    """Return the structure of a slice, which tells what bounds it has, and these as one value.

    Raises ``Opaque``, also for what has no rows, or all.
    """
    (bounds,) = args
    start, stop = bounds.start, bounds.stop
    if type(start) not in (int, type(None)) or type(stop) not in (int, type(None)):
        raise Opaque("a slice by something else than integers")
    start = start or 0
    if start < 0 or (start == 0 if stop is None else stop <= start):
        raise Opaque("a slice without rows, or with all of them")
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
            raise Opaque(f"a list of more than {LONGEST} values")
        if kind in _SETS and not name.endswith("__in"):
            # A copy may have another order, and a list is something else: JSON, for one.
            raise Opaque(f"a {kind.__name__}")
        # What is changed afterwards is not asked for.
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
        raise Opaque(f"{type(value).__qualname__} in a list")
    return type(value)


def _literal(value: Any) -> Any:
    """Return what stands for an object that is part of the structure, values and all."""
    if value is None:
        return value
    if isinstance(value, type):
        # By itself, it stands for a value that is of it.
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
    raise Opaque(f"{kind.__module__}.{kind.__qualname__}")


def _expression(value: Any) -> Any:
    """Return what stands for an expression: what it holds, however it came to hold that."""
    kind = type(value)
    if not kind.__module__.startswith(_TRUSTED) or kind.__module__.startswith(_QUERIES):
        raise Opaque(f"{kind.__module__}.{kind.__qualname__}, which may do anything")
    state = vars(value)
    return kind, tuple(
        [(name, _held(state[name])) for name in sorted(state) if not _is_derived(kind, name)]
    )


def _is_derived(kind: type, name: str) -> bool:
    """Return whether an attribute says nothing that others do not."""
    if name == "output_field":
        return False
    return name == "_constructor_args" or isinstance(getattr(kind, name, None), cached_property)


def _held(value: Any) -> Any:
    """Return what stands for what an expression holds: fields are told apart by themselves."""
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
        # What is inside may be somebody's own.
        raise Opaque(f"{kind.__module__}.{kind.__qualname__}")
    if hasattr(field, "model"):
        return field
    _, _, args, kwargs = field.deconstruct()
    return kind, _literal(args), tuple([(name, _literal(kwargs[name])) for name in sorted(kwargs)])


def names_of_values(kwargs: Mapping[str, Any]) -> list[str]:
    """Return the names of those lookups whose values are no part of the structure."""
    return [
        name for name, value in kwargs.items() if _map_value(value, lambda _: _A_VALUE) is _A_VALUE
    ]


_A_VALUE = object()
