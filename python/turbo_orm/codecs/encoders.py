"""The native encoder of a field's values: it writes what Django and psycopg would send of them.

That takes a field whose conversions are those of Django's own field for the type of the column
(**fields**), an attribute that is stored in ``__dict__``, and psycopg's default dumper
(**dumpers**). Any other field has no encoder.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Field, ForeignKey, Model
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute

from turbo_orm._core import Encoder
from turbo_orm.codecs.dumpers import DUMPED_CLASSES, has_default_dumper
from turbo_orm.codecs.fields import COLUMN_TYPES, CONVERSIONS, FieldClass
from turbo_orm.codecs.session_parameters import SessionParameters

# What decides the values of a column: one that is as Django has it can be encoded natively.
_CONVERSIONS = (*CONVERSIONS, "pre_save", "to_python")


def encoders(
    model: type[Model], fields: Sequence[Field[Any, Any]], connection: Any
) -> list[Encoder | None]:
    """Return an encoder for each field that has one.

    ``connection`` is Django's, and open.
    """
    has_plain_attributes = model.__getattribute__ is object.__getattribute__
    names = _encoders_in_force(connection.connection)
    return [
        Encoder(name)
        if has_plain_attributes
        and (name := _encoder_name(field, field.db_type(connection), settings.USE_TZ)) in names
        and _is_stored_in_dict(model, field.attname)
        else None
        for field in fields
    ]


@lru_cache(maxsize=1000)
def _encoder_name(field: Field[Any, Any], db_type: str | None, use_tz: bool) -> str | None:
    """Return the name of a field's encoder, ``None`` if there is none."""
    name, bases = COLUMN_TYPES.get((db_type or "").partition("(")[0], ("", frozenset()))
    source = field
    while isinstance(source, ForeignKey) and _converts_as(source, ForeignKey):
        source = source.target_field
    if not any(_converts_as(source, base) for base in bases):
        return None
    if isinstance(source, models.JSONField) and source.encoder is not None:
        return None
    return "timestamp" if name == "timestamptz" and not use_tz else name


def _converts_as(field: Field[Any, Any], base: FieldClass) -> bool:
    """Return whether a field is of a class, or of a subclass that overrides no conversion."""
    own = type(field)
    return (
        isinstance(field, base)
        and all(getattr(own, name) is getattr(base, name) for name in _CONVERSIONS)
        and field.__dict__.keys().isdisjoint(_CONVERSIONS)
    )


@lru_cache(maxsize=1000)
def _is_stored_in_dict(model: type[Model], attname: str) -> bool:
    """Return whether an attribute that is set is what ``__dict__`` has under its name."""
    descriptor = type(inspect.getattr_static(model, attname, None))
    return descriptor in (DeferredAttribute, ForeignKeyDeferredAttribute)


def _encoders_in_force(driver: Any) -> set[str]:
    """Return the names of the encoders that write what the dumpers of a connection would.

    ``driver`` is psycopg's connection.
    """
    if driver.closed:
        # It has no parameters any more. Django's cursor raises what says so.
        return set()
    adapters = driver.adapters
    # Django sends a list of the values; what an encoder writes is sent as a text.
    if not (has_default_dumper(adapters, list) and has_default_dumper(adapters, str)):
        return set()
    names = {
        name
        for name, classes in DUMPED_CLASSES.items()
        if all(has_default_dumper(adapters, class_) for class_ in classes)
    }
    if SessionParameters(driver).interval_style == "sql_standard":
        names.discard("interval")
    return names
