"""Bulk updates: a statement for each batch that joins the table to the new values.

Django's has a ``WHEN`` for each object and field, which takes it, and the server, most of the time
to write and to plan. Here the values come as arrays, as those of **inserts** do. A call in which
anything is not known for what it is, or wrong, is Django's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet, FieldDoesNotExist, FullResultSet
from django.db import connections, transaction
from django.db.models import Field, Model, QuerySet
from django.db.models.sql import Query, UpdateQuery

from turbo_orm.backend.compiler import array, has_plain_keys, rows_of
from turbo_orm.codecs.encoders import encoders
from turbo_orm.orm.cached_queryset import CachedQuerySet

# What Django's method calls, and a class might have of its own.
_OF_UPDATES = ("bulk_update", "db", "filter", "update", "using")

# Types of keys that are equal in Python where they are equal in PostgreSQL.
_KEYS = {"int2", "int4", "int8", "text", "uuid"}


class _Statement(NamedTuple):
    sql: str
    params: tuple[Any, ...]


def bulk_update(
    queryset: QuerySet[Any, Any],
    objs: Iterable[Any],
    fields: Iterable[str],
    batch_size: int | None,
) -> int:
    """Do what ``queryset.bulk_update()`` does."""
    # An iterator is Django's to use up, unless it would be refused before that.
    if isinstance(fields, list | tuple) and fields and (batch_size is None or batch_size > 0):
        objs = tuple(objs)
        if (statements := _statements(queryset, objs, fields, batch_size)) is not None:
            return _execute(queryset.db, statements)
    return queryset.bulk_update(objs, fields, batch_size=batch_size)


def _execute(using: str, statements: list[_Statement]) -> int:
    """Execute as Django's method and the ``update()`` that it calls for each batch do."""
    updated = 0
    with transaction.atomic(using=using, savepoint=False):
        for statement in statements:
            with (
                transaction.mark_for_rollback_on_error(using=using),
                connections[using].cursor() as cursor,
            ):
                cursor.execute(*statement)
                updated += cursor.rowcount
    return updated


def _statements(
    queryset: Any, objs: tuple[Any, ...], names: Sequence[str], size: int | None
) -> list[_Statement] | None:
    """Return the statements, or ``None`` if it is Django that has to look."""
    model = queryset.model
    fields = _fields(model, names)
    rows = rows_of(model, objs)
    if fields is None or rows is None or not _is_known(queryset):
        return None
    key: Any = model._meta.pk
    if any(row.get(key.attname) is None for row in rows):
        return None
    for obj in objs:
        if obj._state.__dict__.get("fields_cache"):
            obj._prepare_related_fields_for_save(operation_name="bulk_update", fields=fields)
    queryset._for_write = True
    connection: Any = connections[queryset.db]
    connection.ensure_connection()
    largest = connection.ops.bulk_batch_size([key, key, *fields], objs)
    size = min(size, largest) if size else largest
    shape = _shape(queryset, connection, [key, *fields])
    chosen: list[Any] = encoders(model, [key, *fields], connection)
    if shape is None or None in chosen or chosen[0].name not in _KEYS:
        return None
    statements = []
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        arrays = []
        for field, encoder in zip([key, *fields], chosen, strict=True):
            written = array(encoder, batch, field.attname)
            if written is None or (encoder.name == "float" and _has_negative_zero(written)):
                return None
            arrays.append(written)
        # Of an object that is there twice, Django's first value counts.
        if len({row[key.attname] for row in batch}) < len(batch):
            return None
        statements.append(_Statement(shape.sql, (*arrays, *shape.params)))
    return statements


def _fields(model: type[Model], names: Sequence[str]) -> list[Any] | None:
    """Return the fields, or ``None`` if one is not a column of the model's own to be updated."""
    options = model._meta
    if any(
        parent._meta.concrete_model is not options.concrete_model for parent in _parents(model)
    ):
        return None
    try:
        fields: list[Any] = [options.get_field(name) for name in names]
    except FieldDoesNotExist:
        return None
    is_known = all(
        isinstance(field, Field)
        and field.concrete
        and not (field.many_to_many or field.generated or field.primary_key)
        for field in fields
    )
    return fields if is_known and len({*fields}) == len(fields) else None


def _parents(model: type[Model]) -> Sequence[type[Model]]:
    return model._meta.all_parents


def _is_known(queryset: Any) -> bool:
    """Return whether Django's own methods would update, by the model's own key."""
    query: Any = queryset.query
    return (
        all(
            getattr(type(queryset), name)
            in (getattr(QuerySet, name), getattr(CachedQuerySet, name))
            for name in _OF_UPDATES
        )
        and has_plain_keys(queryset.model)
        and type(query) is Query
        and not (query.is_sliced or query.combinator or query.distinct or query.group_by)
        and not (query.extra_tables or queryset._fields)
        and not getattr(queryset.model._meta.pk, "db_collation", None)
    )


def _shape(
    queryset: QuerySet[Any, Any], connection: Any, fields: Sequence[Any]
) -> _Statement | None:
    """Return the statement of every batch but for its arrays, a key and values in each row.

    Django casts each value to its column's type, which cuts a text and rounds a number.
    """
    query: Any = queryset.query.chain(UpdateQuery)
    compiler = query.get_compiler(connection=connection)
    table = connection.ops.quote_name(query.get_initial_alias())
    if query.count_active_tables() != 1 or query.base_table != queryset.model._meta.db_table:
        return None
    try:
        where, params = compiler.compile(query.where) if query.where else ("", ())
    except (EmptyResultSet, FullResultSet):
        return None
    key, *values = fields
    columns = [connection.ops.quote_name(field.column) for field in values]
    # Names that no condition means which does not say its table.
    given = [f'"__given"."__{place}"' for place in range(len(fields))]
    names = ", ".join(each.partition(".")[2] for each in given)
    arrays = ", ".join(f"(%s)::{_type(field, connection)}[]" for field in fields)
    settings = ", ".join(
        f"{column} = ({value})::{field.cast_db_type(connection)}"
        for column, value, field in zip(columns, given[1:], values, strict=True)
    )
    matched = f"{table}.{connection.ops.quote_name(key.column)} = {given[0]}"
    if where:
        matched = f"({where} AND {matched})"
    return _Statement(
        f'UPDATE {table} SET {settings} FROM UNNEST({arrays}) AS "__given" ({names}) '
        f"WHERE {matched}",
        tuple(params),
    )


def _type(field: Any, connection: Any) -> str:
    """Return a column's type without its length, which an array would be cut to."""
    name: str = field.db_type(connection)
    return name.partition("(")[0]


def _has_negative_zero(floats: str) -> bool:
    """Return whether there is a zero that is negative: Django's, a numeric literal, is not."""
    return "-0.0," in floats or "-0.0}" in floats
