"""Bulk updates: one UPDATE for each batch, joined to arrays of the new values.

Django writes a ``WHEN`` for each object and field, and spends most of the time on that, as does
the server's planner. Here the values come as arrays, like those of an insert
(turbo_orm.backend.arrays). Django's own method does what is not certain to give the same rows, and
raises where the arguments are wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet, FieldDoesNotExist, FullResultSet
from django.db import connections, transaction
from django.db.models import Field, Model, QuerySet
from django.db.models.sql import Query, UpdateQuery

from turbo_orm.backend.arrays import array_literal, instance_dicts
from turbo_orm.backend.primary_keys import has_plain_key
from turbo_orm.codecs.dumpers import SAME_EQUALITY
from turbo_orm.codecs.encoders import encoders
from turbo_orm.execution import batches
from turbo_orm.orm.sync_queryset import SyncQuerySet

# What Django's method calls, and a class of querysets might override.
_METHODS = ("bulk_update", "db", "filter", "update", "using")


class _Update(NamedTuple):
    """The UPDATE of each batch, of so many objects.

    ``params`` follow an array for each field, the key first, which the encoders write.
    """

    sql: str
    params: tuple[Any, ...]
    fields: Sequence[Any]
    encoders: Sequence[Any]
    size: int


class _ByDjango(Exception):
    """A batch is Django's to update, which begins at an index."""


def bulk_update(
    queryset: QuerySet[Any, Any],
    objs: Iterable[Any],
    fields: Iterable[str],
    batch_size: int | None,
) -> int:
    """Do what ``queryset.bulk_update()`` does. Runs on the bridge."""
    # Django does not consume an iterator where it refuses other arguments.
    if isinstance(fields, list | tuple) and fields and (batch_size is None or batch_size > 0):
        objs = tuple(objs)
        if (update := _update(queryset, objs, fields, batch_size)) is not None:
            return _execute(queryset, update, objs, fields)
    return queryset.bulk_update(objs, fields, batch_size=batch_size)


def _execute(
    queryset: QuerySet[Any, Any], update: _Update, objs: tuple[Any, ...], fields: Sequence[str]
) -> int:
    """Update batch by batch, and from the first that is Django's on by Django.

    Return the number of rows updated.
    """
    using, updated = queryset.db, 0
    with transaction.atomic(using=using, savepoint=False):
        try:
            for pgresult, _ in batches.execute(using, _statements(update, objs)):
                updated += pgresult.command_tuples or 0
        except _ByDjango as exc:
            updated += queryset.bulk_update(objs[exc.args[0] :], fields, batch_size=update.size)
    return updated


def _statements(update: _Update, objs: tuple[Any, ...]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for start in range(0, len(objs), update.size):
        rows = [obj.__dict__ for obj in objs[start : start + update.size]]
        arrays = _arrays(update, rows)
        if arrays is None:
            raise _ByDjango(start)
        yield update.sql, (*arrays, *update.params)


def _arrays(update: _Update, rows: list[dict[str, Any]]) -> list[str] | None:
    """Return the arrays of a batch, ``None`` if they do not say what Django would write."""
    arrays = []
    for field, encoder in zip(update.fields, update.encoders, strict=True):
        array = array_literal(encoder, rows, field.attname)
        if array is None or (encoder.name == "float" and _has_negative_zero(array)):
            return None
        arrays.append(array)
    # Of an object that is there twice, Django's first value counts.
    keys = {row[update.fields[0].attname] for row in rows}
    return arrays if len(keys) == len(rows) else None


def _update(
    queryset: Any, objs: tuple[Any, ...], names: Sequence[str], size: int | None
) -> _Update | None:
    """Return the statement, or ``None`` if Django's method has to update."""
    model = queryset.model
    fields = _fields(model, names)
    rows = instance_dicts(model, objs)
    if fields is None or rows is None or not _updates_as_django(queryset):
        return None
    key: Any = model._meta.pk
    attnames = {field.attname for field in (key, *fields)}
    # Django fetches what is deferred before it updates anything.
    if any(row.get(key.attname) is None or not attnames <= row.keys() for row in rows):
        return None
    for obj in objs:
        if obj._state.__dict__.get("fields_cache"):
            obj._prepare_related_fields_for_save(operation_name="bulk_update", fields=fields)
    queryset._for_write = True
    connection: Any = connections[queryset.db]
    connection.ensure_connection()
    largest = connection.ops.bulk_batch_size([key, key, *fields], objs)
    template = _template(queryset, connection, [key, *fields])
    written_by: list[Any] = encoders(model, [key, *fields], connection)
    if template is None or None in written_by or written_by[0].name not in SAME_EQUALITY:
        return None
    return _Update(*template, [key, *fields], written_by, min(size, largest) if size else largest)


def _fields(model: type[Model], names: Sequence[str]) -> list[Any] | None:
    """Return the fields, or ``None`` unless each is another column of the model's own table."""
    options = model._meta
    if any(
        parent._meta.concrete_model is not options.concrete_model for parent in _parents(model)
    ):
        return None
    try:
        fields: list[Any] = [options.get_field(name) for name in names]
    except FieldDoesNotExist:
        return None
    are_columns = all(
        isinstance(field, Field)
        and field.concrete
        and not (field.many_to_many or field.generated or field.primary_key)
        for field in fields
    )
    return fields if are_columns and len({*fields}) == len(fields) else None


def _parents(model: type[Model]) -> Sequence[type[Model]]:
    return model._meta.all_parents


def _updates_as_django(queryset: Any) -> bool:
    """Return whether Django's own methods would update the rows of a plain query, by their key."""
    query: Any = queryset.query
    return (
        all(
            getattr(type(queryset), name) in (getattr(QuerySet, name), getattr(SyncQuerySet, name))
            for name in _METHODS
        )
        and has_plain_key(queryset.model)
        and type(query) is Query
        and not (query.is_sliced or query.combinator or query.distinct or query.group_by)
        and not (query.extra_tables or queryset._fields)
        and not getattr(queryset.model._meta.pk, "db_collation", None)
    )


def _template(
    queryset: QuerySet[Any, Any], connection: Any, fields: Sequence[Any]
) -> tuple[str, tuple[Any, ...]] | None:
    """Return the UPDATE of each batch, and the params that follow its arrays.

    Return ``None`` if its condition joins another table, or matches nothing. As Django does, it
    casts each value to the type of its column, which truncates a text and rounds a number.
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
    # No unqualified name in a condition, as raw SQL may have, is one of these.
    sources = [f'"__values"."__{index}"' for index in range(len(fields))]
    names = ", ".join(each.partition(".")[2] for each in sources)
    arrays = ", ".join(f"(%s)::{_base_type(field, connection)}[]" for field in fields)
    assignments = ", ".join(
        f"{column} = ({value})::{field.cast_db_type(connection)}"
        for column, value, field in zip(columns, sources[1:], values, strict=True)
    )
    matched = f"{table}.{connection.ops.quote_name(key.column)} = {sources[0]}"
    if where:
        matched = f"({where} AND {matched})"
    return (
        f'UPDATE {table} SET {assignments} FROM UNNEST({arrays}) AS "__values" ({names}) '
        f"WHERE {matched}",
        tuple(params),
    )


def _base_type(field: Any, connection: Any) -> str:
    """Return a column's type without its length, to which the elements would be truncated."""
    name: str = field.db_type(connection)
    return name.partition("(")[0]


def _has_negative_zero(floats: str) -> bool:
    """Return whether -0.0 is in an array: Django's literal of it is numeric, which has no sign."""
    return "-0.0," in floats or "-0.0}" in floats
