"""Inserts of many instances at once: the arrays that Django has the server unnest, made natively.

Django writes ``INSERT … SELECT * FROM UNNEST(%s, …)``, with a list of values for each column. The
statement stays Django's, and so does whatever surrounds it; only the lists come as PostgreSQL's
text of them. Preparing and dumping each value by itself is what most of a bulk insert's time went
into. Where a field or one of its values is not known for what it is, the list stays Django's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db.backends.postgresql.compiler import InsertUnnest, SQLInsertCompiler
from django.db.backends.postgresql.operations import DatabaseOperations
from django.db.models import CompositePrimaryKey, Field, Model
from django.db.models.expressions import DatabaseDefault

from turbo_orm import bridge
from turbo_orm.codecs.encoders import encoders, saves_what_is_there

# What Django asks of an instance before it inserts it.
_OF_KEYS = ("_get_pk_val", "_is_pk_set", "_prepare_related_fields_for_save", "_set_pk_val", "pk")

# Instances whose values are written at a time, before the event loop may get a turn.
SLICE = 1000


class Operations(DatabaseOperations):
    """Django's operations, with another compiler of inserts."""

    def compiler(self, compiler_name: str) -> Any:
        if compiler_name == SQLInsertCompiler.__name__:
            return InsertCompiler
        return super().compiler(compiler_name)


class InsertCompiler(SQLInsertCompiler):
    """Django's compiler of inserts, which has the values of many instances written natively."""

    # What stands for the values of each column while the statement is written.
    _stand_ins: dict[Any, Any] | None = None
    _is_unnested = False

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        """Compile as Django does, for two instances without values, and put the arrays there."""
        query: Any = self.query
        arrays = self._arrays() if len(query.objs) > 1 and not query.raw else None
        if arrays is None:
            return super().as_sql(*args, **kwargs)
        self._stand_ins, objs, query.objs = arrays, query.objs, query.objs[:2]
        try:
            [(statement, params)] = super().as_sql(*args, **kwargs)
        finally:
            self._stand_ins, query.objs = None, objs
        sent = tuple([each for each in arrays.values() if not isinstance(each, DatabaseDefault)])
        # A list for each array, and nothing else.
        if not self._is_unnested or len(params) != len(sent):
            return super().as_sql(*args, **kwargs)
        return [(statement, sent)]

    def pre_save_val(self, field: Any, obj: Any) -> Any:
        if self._stand_ins is None:
            return super().pre_save_val(field, obj)
        value = self._stand_ins[field]
        return value if isinstance(value, DatabaseDefault) else None

    def prepare_value(self, field: Any, value: Any) -> Any:
        return value if self._stand_ins is not None else super().prepare_value(field, value)

    def assemble_as_sql(self, fields: Any, value_rows: Any) -> Any:
        placeholders, params = super().assemble_as_sql(fields, value_rows)
        self._is_unnested = isinstance(placeholders, InsertUnnest)
        return placeholders, params

    def _arrays(self) -> dict[Any, Any] | None:
        """Return each field's array, or what leaves it to the database; ``None`` is Django's way.

        An array is PostgreSQL's text of it, or where that is not known, Django's list.
        """
        query: Any = self.query
        fields, model = query.fields, query.model
        rows = rows_of(model, query.objs)
        if rows is None or self.connection.connection is None or not all(map(_unnests, fields)):
            return None
        arrays: dict[Any, Any] = {}
        for field, encoder in zip(fields, encoders(model, fields, self.connection), strict=True):
            if _is_left_to_database(field, rows):
                arrays[field] = rows[0][field.attname]
                continue
            written: Any = self._written(field, encoder, rows)
            if written is None:
                written = self._listed(field)
            if written is None:
                return None
            arrays[field] = written
        return arrays if any(isinstance(each, str) for each in arrays.values()) else None

    def _written(self, field: Any, encoder: Any, rows: list[dict[str, Any]]) -> str | None:
        if encoder is None:
            return None
        if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
            for obj in self.query.objs:
                field.pre_save(obj, add=True)
        return array(encoder, rows, field.attname)

    def _listed(self, field: Any) -> list[Any] | None:
        """Return the list that Django makes, or ``None`` if it does not take one, or fails.

        Versions differ in the order in which they look at values: which fails first is Django's.
        """
        try:
            values = [self.pre_save_val(field, obj) for obj in self.query.objs]
            if any(hasattr(value, "as_sql") for value in values):
                return None
            values = [self.prepare_value(field, value) for value in values]
        except Exception:
            return None
        return None if any(hasattr(value, "as_sql") for value in values) else values


def rows_of(model: type[Model], objs: Sequence[Any]) -> list[dict[str, Any]] | None:
    """Return where the instances keep their values, or ``None`` if one is not of the model."""
    if {*map(type, objs)} != {model}:
        return None
    return [obj.__dict__ for obj in objs]


def array(encoder: Any, rows: list[dict[str, Any]], attname: str) -> str | None:
    """Return PostgreSQL's array of the values under a name, or ``None`` if one is not known."""
    checkpoints = bridge.Checkpoints()
    parts = []
    for start in range(0, len(rows), SLICE):
        checkpoints.maybe_yield()
        if (part := encoder.array(rows[start : start + SLICE], attname)) is None:
            return None
        parts.append(part[1:-1])
    return f"{{{','.join(parts)}}}"


def _unnests(field: Field[Any, Any]) -> bool:
    """Return whether a field's values may go into an array, and be asked for once more."""
    has_placeholder = hasattr(field, "get_placeholder_sql") or hasattr(field, "get_placeholder")
    return saves_what_is_there(field) and not has_placeholder


def _is_left_to_database(field: Field[Any, Any], rows: list[dict[str, Any]]) -> bool:
    return field.has_db_default() and all(
        isinstance(row.get(field.attname), DatabaseDefault) for row in rows
    )


def partition(model: type[Model], objs: Sequence[Any]) -> tuple[list[Any], list[Any]] | None:
    """Return the instances with a key and those without, or ``None`` where Django has to look.

    Django prepares their related objects on the way, of which most instances have none, and asks
    for a default key, which most models have none of.
    """
    if {*map(type, objs)} != {model} or not has_plain_keys(model):
        return None
    attname = model._meta.pk.attname
    with_key: list[Any] = []
    without_key: list[Any] = []
    for obj in objs:
        if obj._state.__dict__.get("fields_cache"):
            obj._prepare_related_fields_for_save(operation_name="bulk_create")
        key = getattr(obj, attname)
        is_set = key is not None and not isinstance(key, DatabaseDefault)
        (with_key if is_set else without_key).append(obj)
    return with_key, without_key


@lru_cache(maxsize=1000)
def has_plain_keys(model: type[Model]) -> bool:
    """Return whether a key is what its attribute holds, and no value is worked out for it."""
    key: Any = model._meta.pk
    return (
        not isinstance(key, CompositePrimaryKey)
        and all(getattr(model, name) is getattr(Model, name) for name in _OF_KEYS)
        and not key.has_default()
        and type(key).get_pk_value_on_save is Field.get_pk_value_on_save
    )
