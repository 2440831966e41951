"""Chooses the native encoder for a field: one that writes what Django and psycopg would send.

That takes a field whose conversions are those of Django's own field for the column's type, an
attribute that is kept in ``__dict__``, and psycopg's own dumper. Any other field has no encoder.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Field, FileField, ForeignKey, Model
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from psycopg.adapt import PyFormat
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int2, Int4, Int8

from turbo_orm._core import Encoder
from turbo_orm.codecs.session_parameters import Session

# By the type of the column: the encoder's name, and Django's fields whose conversions it knows.
_KINDS: dict[str, tuple[str, tuple[type[Field[Any, Any]], ...]]] = {
    "bigint": ("int8", (models.IntegerField, models.AutoField)),
    "boolean": ("bool", (models.BooleanField,)),
    "date": ("date", (models.DateField,)),
    "double precision": ("float", (models.FloatField,)),
    "integer": ("int4", (models.IntegerField, models.AutoField)),
    "interval": ("interval", (models.DurationField,)),
    "jsonb": ("jsonb", (models.JSONField,)),
    "numeric": ("numeric", (models.DecimalField,)),
    "smallint": ("int2", (models.IntegerField, models.AutoField)),
    "text": ("text", (models.CharField, models.FilePathField, models.TextField)),
    "time": ("time", (models.TimeField,)),
    "timestamp with time zone": ("timestamptz", (models.DateTimeField,)),
    "uuid": ("uuid", (models.UUIDField,)),
    "varchar": ("text", (models.CharField, models.FilePathField, models.TextField)),
}

# What the driver dumps in the end.
_DUMPED: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "date": (date,),
    "float": (float,),
    "int2": (int, Int2),
    "int4": (int, Int4),
    "int8": (int, Int8),
    "interval": (timedelta,),
    "jsonb": (Jsonb,),
    "numeric": (Decimal,),
    "text": (str,),
    "time": (time,),
    "timestamp": (datetime,),
    "timestamptz": (datetime,),
    "uuid": (UUID,),
}

# Those that return the attribute's value, and do nothing else that they would not do again.
_PRE_SAVES = {
    field.pre_save
    for field in (Field, FileField, models.DateField, models.DateTimeField, models.TimeField)
}

_CONVERSIONS = (
    "get_db_prep_save",
    "get_db_prep_value",
    "get_prep_value",
    "pre_save",
    "to_python",
)


def encoders(
    model: type[Model], fields: Sequence[Field[Any, Any]], connection: Any
) -> list[Encoder | None]:
    """Return an encoder for each field that has one. The connection is open."""
    has_plain_attributes = model.__getattribute__ is object.__getattribute__
    dumped_natively = _dumped_natively(connection.connection)
    return [
        Encoder(name)
        if has_plain_attributes
        and (name := _name(field, field.db_type(connection), settings.USE_TZ)) in dumped_natively
        and _is_kept_in_dict(model, field.attname)
        else None
        for field in fields
    ]


def saves_what_is_there(field: Field[Any, Any]) -> bool:
    """Return whether ``pre_save()`` may be called once more than by Django."""
    return type(field).pre_save in _PRE_SAVES and "pre_save" not in field.__dict__


@lru_cache(maxsize=1000)
def _name(field: Field[Any, Any], db_type: str | None, use_tz: bool) -> str | None:
    """Return the name of a field's encoder, ``None`` if there is none."""
    name, bases = _KINDS.get((db_type or "").partition("(")[0], ("", ()))
    source = field
    while isinstance(source, ForeignKey) and _converts_as(source, ForeignKey):
        source = source.target_field
    if not any(_converts_as(source, base) for base in bases):
        return None
    if isinstance(source, models.JSONField) and source.encoder is not None:
        return None
    return "timestamp" if name == "timestamptz" and not use_tz else name


def _converts_as(field: Field[Any, Any], base: type[Field[Any, Any]]) -> bool:
    own = type(field)
    return (
        isinstance(field, base)
        and all(getattr(own, name) is getattr(base, name) for name in _CONVERSIONS)
        and field.__dict__.keys().isdisjoint(_CONVERSIONS)
    )


@lru_cache(maxsize=1000)
def _is_kept_in_dict(model: type[Model], attname: str) -> bool:
    """Return whether an attribute that is set is what ``__dict__`` has under its name."""
    kind = type(inspect.getattr_static(model, attname, None))
    return kind in (DeferredAttribute, ForeignKeyDeferredAttribute)


def _dumped_natively(driver: Any) -> set[str]:
    """Return the names of what psycopg's own dumpers write, in the style that the encoders do."""
    if not all(_dumps_as_psycopg(driver, kind) for kind in (list, str)):
        return set()
    names = {
        name for name, kinds in _DUMPED.items() if all(_dumps_as_psycopg(driver, k) for k in kinds)
    }
    if Session(driver).interval_style == "sql_standard":
        names.discard("interval")
    return names


def _dumps_as_psycopg(driver: Any, kind: type) -> bool:
    module = driver.adapters.get_dumper(kind, PyFormat.TEXT).__module__
    return module.partition(".")[0] in ("psycopg", "psycopg_binary", "psycopg_c")
