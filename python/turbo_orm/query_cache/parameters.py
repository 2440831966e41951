"""What Django does with values: with those that are looked for, at once, and with those saved.

Many a value is what it is: Django's lookups and fields hand it on. Of the others Django makes a
lookup when the method is called, which prepares the value or raises.
"""

from __future__ import annotations

import datetime
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any, NamedTuple

from django.db import models
from django.db.models import lookups
from django.db.models.expressions import Col
from django.db.models.fields import related_lookups

from turbo_orm.backend.handler import process_connection
from turbo_orm.query_cache.compiled import Saved, Unbindable
from turbo_orm.query_cache.tracers import Unlearnable, marks

# What a thread does to the filters of warnings is undone in the order in which it was done: else
# they stay as another thread wanted them for a while. From within itself it may be done again.
_ONE_AT_A_TIME = RLock()


@contextmanager
def quietly() -> Iterator[None]:
    """Have Django not warn of what it warns of in the method that the caller of ours called."""
    with _ONE_AT_A_TIME, warnings.catch_warnings(action="ignore"):
        yield


class Filtered(NamedTuple):
    """A value, and the lookup that Django has made of it."""

    value: Any
    lookup: Any


class Preparation(NamedTuple):
    """What Django does with a value at once: makes a lookup, which prepares it or raises."""

    lookup_class: type
    lhs: Any

    def __call__(self, value: Any) -> Filtered:
        lookup = self.lookup_class(self.lhs, value)
        if lookup.rhs is None:
            # Django asks for NULL instead, or refuses.
            raise Unbindable
        if not isinstance(value, models.Model):
            return Filtered(value, lookup)
        if hasattr(lookup.rhs, "resolve_expression"):
            # It is no key, and a lookup of it would be another one.
            raise Unbindable
        # An instance may have another key by the time that somebody asks for the query.
        return Filtered(lookup.rhs, lookup)


class Deferred(NamedTuple):
    """A value that Django looks at when the query is asked for, as those of related managers."""

    value: Any
    preparation: Preparation

    @property
    def lookup(self) -> Any:
        """The lookup that Django makes of it."""
        return self.preparation(self.value).lookup


LOOKED_UP = (Filtered, Deferred)


def plain_values(given: Sequence[Any]) -> list[Any]:
    """Return values as they were given."""
    return [each.value if type(each) in LOOKED_UP else each for each in given]


def preparations(take: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """Return what prepares each value of a step: ``None`` for what stays as it is.

    ``take`` takes the step, to the queryset after it, with values in place of its own. Raises
    ``Unlearnable`` if a value does not go into just one lookup.
    """
    marked = marks(values)
    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        take(marked)
    if any(not issubclass(each.category, RuntimeWarning) for each in caught):
        raise Unlearnable("Django warns of it, each time")
    found: list[Any] = []
    for each in marked:
        if type(each) is slice:
            found.append(None)
            continue
        if len(each.lookups) != 1:
            raise Unlearnable(f"a value goes into {len(each.lookups)} lookups")
        (lookup,) = each.lookups
        if lookup.lookup_name == "isnull":
            # Other values are not compared with NULL.
            raise Unlearnable("a value becomes NULL")
        is_plain = plain_field(lookup, each.value) is not None
        found.append(None if is_plain else Preparation(type(lookup), lookup.lhs))
    return found


def saved(slot: int, field: Any, using: str) -> Saved:
    """Return what makes a parameter of a value that is saved to a field."""
    connection = process_connection(using)
    for kind in _PLAIN_FIELDS:
        if (target := plain_target(field, kind)) is not None:
            wrapper = integer_type(target, connection.ops) if kind is int else None
            return Saved(slot, field, connection, kind, wrapper)
    if type(field) is models.DateTimeField:

        def moment(value: datetime.datetime) -> Any:
            # A naive one is taken to be of the current time zone, and warned of.
            if value.tzinfo is datetime.UTC:
                return value
            return field.get_db_prep_save(value, connection=connection)

        return Saved(slot, field, connection, datetime.datetime, moment)
    return Saved(slot, field, connection, None, None)


def integer_type(field: Any, ops: Any) -> Any:
    """Return psycopg's type for the integers of a field. Keys that count up have none."""
    return ops.integerfield_type_map.get(field.get_internal_type(), int)


# Django's fields that take values of a type as they are, and its lookups that do not touch them.
_INTEGERS: set[Any] = {
    models.AutoField,
    models.BigAutoField,
    models.BigIntegerField,
    models.IntegerField,
    models.PositiveBigIntegerField,
    models.PositiveIntegerField,
    models.PositiveSmallIntegerField,
    models.SmallAutoField,
    models.SmallIntegerField,
}
_TEXTS = {models.CharField, models.EmailField, models.SlugField, models.TextField, models.URLField}
_PLAIN_FIELDS: dict[type, set[Any]] = {
    bool: {models.BooleanField},
    datetime.date: {models.DateField},
    float: {models.FloatField},
    int: _INTEGERS,
    str: _TEXTS,
    uuid.UUID: {models.UUIDField},
}
_COMPARISONS = {"exact", "gt", "gte", "lt", "lte"}
_LOOKUP_MODULES = {lookups.__name__, related_lookups.__name__}


def plain_field(lookup: Any, value: Any) -> Any:
    """Return the field whose lookup takes a value as it is, or ``None``."""
    if (
        type(lookup).__module__ not in _LOOKUP_MODULES
        or lookup.lookup_name not in _COMPARISONS
        or lookup.bilateral_transforms
        or type(lookup.lhs) is not Col
    ):
        return None
    return plain_target(lookup.lhs.output_field, type(value))


def plain_target(field: Any, kind: type) -> Any:
    """Return the field, or that which a relation leads to, if it takes such values as they are."""
    while field.remote_field is not None:
        field = field.target_field
    return field if type(field) in _PLAIN_FIELDS.get(kind, ()) else None
