"""What Django's fields are to PostgreSQL: column types, encoders, and the values saved unchanged.

The one table of this, for **encoders** (the arrays of bulk inserts and updates) and for the
statements of turbo_orm.query_cache, whose parameters need no lookup and no ``get_db_prep_save()``
where a field takes a value as it is. **dumpers** has the one of Python's classes.
"""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from django.db import models
from django.db.models import Field, FileField

type FieldClass = type[Field[Any, Any]]

#: Automatic keys, whose values the server returns as integers.
AUTO_FIELDS: frozenset[FieldClass] = frozenset(
    {models.AutoField, models.BigAutoField, models.SmallAutoField}
)


class FieldType(NamedTuple):
    """Django's fields of one kind, which convert values in the same way.

    ``encoders`` has the name of the native encoder by the type of the column, without a length.
    Exact instances of the class ``unchanged`` are saved by these fields, and compared with them,
    as they are: no method of the field would change one.
    """

    fields: frozenset[FieldClass]
    encoders: dict[str, str]
    unchanged: type | None = None


FIELD_TYPES = (
    FieldType(frozenset({models.BooleanField}), {"boolean": "bool"}, bool),
    FieldType(frozenset({models.DateField}), {"date": "date"}, date),
    FieldType(
        frozenset({models.DateTimeField}),
        {"timestamp with time zone": "timestamptz"},
    ),
    FieldType(frozenset({models.DecimalField}), {"numeric": "numeric"}),
    FieldType(frozenset({models.DurationField}), {"interval": "interval"}),
    FieldType(frozenset({models.FloatField}), {"double precision": "float"}, float),
    FieldType(
        AUTO_FIELDS
        | {
            models.BigIntegerField,
            models.IntegerField,
            models.PositiveBigIntegerField,
            models.PositiveIntegerField,
            models.PositiveSmallIntegerField,
            models.SmallIntegerField,
        },
        {"bigint": "int8", "integer": "int4", "smallint": "int2"},
        int,
    ),
    FieldType(frozenset({models.JSONField}), {"jsonb": "jsonb"}),
    FieldType(
        frozenset(
            {
                models.CharField,
                models.EmailField,
                models.FilePathField,
                models.SlugField,
                models.TextField,
                models.URLField,
            }
        ),
        {"text": "text", "varchar": "text"},
        str,
    ),
    FieldType(frozenset({models.TimeField}), {"time": "time"}),
    FieldType(frozenset({models.UUIDField}), {"uuid": "uuid"}, UUID),
)

#: By the class of a value, the field classes that save it unchanged. A subclass may convert it.
UNCHANGED_BY: dict[type, frozenset[FieldClass]] = {
    each.unchanged: each.fields for each in FIELD_TYPES if each.unchanged is not None
}

#: By the type of a column, the name of its encoder, and the fields whose conversions it includes.
COLUMN_TYPES: dict[str, tuple[str, frozenset[FieldClass]]] = {
    column_type: (encoder, each.fields)
    for each in FIELD_TYPES
    for column_type, encoder in each.encoders.items()
}

#: The methods by which a field converts a value that is saved.
CONVERSIONS = ("get_db_prep_save", "get_db_prep_value", "get_prep_value")

# Those that return the attribute, which ``auto_now`` sets before.
_PLAIN_PRE_SAVES = {
    Field.pre_save,
    models.DateField.pre_save,
    models.DateTimeField.pre_save,
    models.TimeField.pre_save,
}


def pre_saves_attribute(field: Field[Any, Any]) -> bool:
    """Return whether ``pre_save()`` does no more than to return the attribute, set by auto_now."""
    return type(field).pre_save in _PLAIN_PRE_SAVES and "pre_save" not in field.__dict__


def pre_saves_repeatedly(field: Field[Any, Any]) -> bool:
    """Return whether a second ``pre_save()`` returns what the first did, and does nothing else.

    The first of a ``FileField`` stores the file.
    """
    return pre_saves_attribute(field) or (
        type(field).pre_save is FileField.pre_save and "pre_save" not in field.__dict__
    )
