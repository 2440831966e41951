"""What Django does with the values of a call: those that are compared at once, those saved later.

Many values stay as they are: Django's lookups and fields pass them on. Of the others Django makes
a lookup when the method is called, which prepares the value or raises.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import getattr_static
from threading import RLock, get_ident
from typing import Any

from django.core.exceptions import FieldError
from django.db import models
from django.db.models import lookups
from django.db.models.expressions import Col, ColPairs, RawSQL
from django.db.models.fields import related_lookups
from django.db.models.fields.tuple_lookups import TupleIn

from turbo_orm.backend.handler import process_connection
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.codecs.fields import CONVERSIONS, UNCHANGED_BY
from turbo_orm.query_cache.compiled import FieldBinder
from turbo_orm.query_cache.prepared_values import WITH_LOOKUPS, LookupFactory, plain_values
from turbo_orm.query_cache.tracers import SUBQUERIES, NotCacheable, tracers

# ``catch_warnings()`` restores the filters that it has found, which have to be undone in the order
# in which they were set: in one thread at a time, and within it also in a nested call.
_WARNINGS_LOCK = RLock()


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore what Django warns of: it has warned already, where the method was called."""
    with _WARNINGS_LOCK, warnings.catch_warnings(action="ignore"):
        yield


def lookup_factories(
    traced: Callable[[Sequence[Any]], Any], values: Sequence[Any]
) -> list[LookupFactory | None]:
    """Return what makes a lookup of each value, ``None`` for one that stays as it is.

    ``traced`` makes the step with tracers in place of its values. A value of a queryset that is an
    argument may have its lookup already. Raises ``NotCacheable`` if a value does not go into
    exactly one lookup.
    """
    traces = tracers(plain_values(values))
    caught: list[type[Warning]] = []
    thread = get_ident()

    def note(message: Any, category: type[Warning], *args: Any) -> None:
        # Other threads may warn meanwhile.
        if get_ident() == thread:
            caught.append(category)

    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note  # type: ignore[assignment]
        traced(traces)
    if any(not issubclass(category, RuntimeWarning) for category in caught):
        raise NotCacheable("Django warns of it each time")
    found: list[LookupFactory | None] = []
    for each, value in zip(traces, values, strict=True):
        if type(each) is slice or (each.is_constant and not each.lookups):
            found.append(None)
            continue
        if each.later and not each.lookups:
            if not all(_is_passed_on(lookup, each.value) for lookup in each.later):
                # Django raises for another value where it joins the relation.
                raise NotCacheable("a value in the condition of a FilteredRelation is converted")
            found.append(None)
            continue
        if len(each.lookups) != 1:
            raise NotCacheable(f"a value goes into {len(each.lookups)} lookups")
        (lookup,) = each.lookups
        if lookup.lookup_name == "isnull":
            # Other values are not compared with NULL.
            raise NotCacheable("a value becomes NULL")
        is_plain = type(value) in WITH_LOOKUPS or plain_field(lookup, each.value) is not None
        found.append(None if is_plain else LookupFactory(type(lookup), _compared(lookup)))
    return found


def _compared(lookup: Any) -> Any:
    """Return what a lookup of another value compares, with something in place of a subquery."""
    if not isinstance(lookup.lhs, SUBQUERIES):
        return lookup.lhs
    field = _compared_field(lookup.lhs)
    if field is None:
        raise NotCacheable("a subquery of several columns is compared")
    # It says no more than how values are prepared.
    return RawSQL("a subquery", (), field)


def _compared_field(lhs: Any) -> Any:
    """Return the field of a column or a subquery, ``None`` for anything else."""
    if type(lhs) is not Col and not isinstance(lhs, SUBQUERIES):
        return None
    try:
        return lhs.output_field
    except FieldError:
        return None


def field_binder(slot: int, field: Any, using: str) -> FieldBinder:
    """Return what binds a value that is saved to a field."""
    connection = process_connection(using)
    for kind in UNCHANGED_BY:
        if (target := plain_target(field, kind)) is not None:
            wrapper = integer_type(target, connection.ops) if kind is int else None
            return FieldBinder(slot, field, connection, kind, wrapper)
    if type(field) is models.DateTimeField:

        def moment(value: datetime.datetime) -> Any:
            # Django takes a naive one to be in the current time zone, and warns.
            if value.tzinfo is datetime.UTC:
                return value
            return field.get_db_prep_save(value, connection=connection)

        return FieldBinder(slot, field, connection, datetime.datetime, moment)
    return FieldBinder(slot, field, connection, None, None)


def integer_type(field: Any, ops: Any) -> Any:
    """Return psycopg's type for the integers of a field, ``int`` for an automatic key."""
    return ops.integerfield_type_map.get(field.get_internal_type(), int)


# What a field makes parameters by. Classes of fields cannot be watched: Django counts their
# instances in an attribute of the class.
_CONVERSIONS = (*CONVERSIONS, "get_internal_type")

# Django's lookups that pass such values on.
_COMPARISONS = {"exact", "gt", "gte", "lt", "lte"}
_LOOKUP_MODULES = {lookups.__name__, related_lookups.__name__}
# Those of lists, which they pass on item by item.
_LISTS = {lookups.In, related_lookups.RelatedIn, TupleIn}


def plain_field(lookup: Any, value: Any) -> Any:
    """Return the field whose lookup takes a value or a list's items as they are, or ``None``."""
    kind: Any = type(value)
    if type(lookup) in _LISTS:
        kinds = {*map(type, value)} if kind in (list, tuple) else set()
        kind = kinds.pop() if len(kinds) == 1 else None
    elif type(lookup).__module__ not in _LOOKUP_MODULES or lookup.lookup_name not in _COMPARISONS:
        return None
    if kind is None or lookup.bilateral_transforms:
        return None
    if type(lookup) is TupleIn and type(lookup.lhs) is ColPairs:
        # One column, as where a foreign key is prefetched.
        fields = lookup.lhs.targets
        return plain_target(fields[0], kind) if len(fields) == 1 else None
    field = _compared_field(lookup.lhs)
    return None if field is None else plain_target(field, kind)


def _is_passed_on(lookup: Any, value: Any) -> bool:
    """Return whether Django makes a lookup of any value of this type, or of a list of such."""
    kinds = {*map(type, value)} if isinstance(value, list | tuple) else {type(value)}
    field = getattr(lookup.lhs, "output_field", None)
    return field is not None and all(plain_target(field, kind) is not None for kind in kinds)


def plain_target(field: Any, kind: type) -> Any:
    """Return the field, or the one that it refers to, if that takes such values as they are."""
    while field.remote_field is not None:
        field = field.target_field
    own = type(field)
    if own in UNCHANGED_BY.get(kind, ()) and all(
        is_own(getattr_static(own, name)) for name in _CONVERSIONS
    ):
        return field
    return None
