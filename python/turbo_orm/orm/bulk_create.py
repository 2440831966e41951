"""``abulk_create()``: Django's ``bulk_create()``, which executes batch after batch.

It asks for the database for each instance and each batch, too. Where no router may answer
otherwise the next time, it is asked for once, and batches are sent together
(turbo_orm.execution.batches).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from django.db import connections, router, transaction
from django.db.models import QuerySet
from django.db.models.constants import OnConflict
from django.db.models.sql import InsertQuery

from turbo_orm.backend.compiler import InsertCompiler
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.codecs.fields import CONVERSIONS, pre_saves_attribute
from turbo_orm.execution import batches
from turbo_orm.query_cache.overrides import has_djangos

# What Django inserts batches by.
_METHODS = ("bulk_create", "_batched_insert", "_insert")


def bulk_create(queryset: Any, *args: Any, **options: Any) -> list[Any]:
    """Do what the queryset's method does. Runs on the bridge."""
    is_asked_once = (
        queryset._db is None and not router.routers and has_djangos(type(queryset), "bulk_create")
    )
    if is_asked_once:
        queryset._db = router.db_for_write(queryset.model, **queryset._hints)
    if queryset._db is not None and has_djangos(type(queryset), *_METHODS):
        queryset._batched_insert = partial(_batched_insert, queryset)
    try:
        created: list[Any] = queryset.bulk_create(*args, **options)
    finally:
        if is_asked_once:
            queryset._db = None
        queryset.__dict__.pop("_batched_insert", None)
    return created


def _batched_insert(
    queryset: Any,
    objs: Sequence[Any],
    fields: Sequence[Any],
    batch_size: int | None,
    on_conflict: OnConflict | None = None,
    update_fields: Any = None,
    unique_fields: Any = None,
) -> list[tuple[Any, ...]]:
    """Do what Django's method of that name does."""
    using = queryset.db
    conflicts = {
        "on_conflict": on_conflict,
        "update_fields": update_fields,
        "unique_fields": unique_fields,
    }
    connection: Any = connections[using]
    size = max(connection.ops.bulk_batch_size(fields, objs), 1)
    size = min(batch_size, size) if batch_size else size
    if len(objs) <= size or not _is_plain(connection, fields):
        djangos: Any = QuerySet
        found: list[Any] = djangos._batched_insert(queryset, objs, fields, batch_size, **conflicts)
        return found
    meta = queryset.model._meta
    returned = meta.db_returning_fields if on_conflict in {None, OnConflict.UPDATE} else ()

    def compiler(part: Sequence[Any]) -> Any:
        query: Any = InsertQuery(queryset.model, **conflicts)
        query.insert_values(fields, part)
        compiler = query.get_compiler(using=using)
        compiler.returning_fields = returned
        return compiler

    def statements() -> Iterator[tuple[str, tuple[Any, ...]]]:
        for start in range(0, len(objs), size):
            yield from compiler(objs[start : start + size]).as_sql()

    rows: list[tuple[Any, ...]] = []
    with transaction.atomic(using=using, savepoint=False):
        for result in batches.execute(using, statements()):
            if returned:
                rows += batches.rows(using, *result)
        reader = compiler(())
        converters = reader.get_converters([each.get_col(meta.db_table) for each in returned])
        return [*reader.apply_converters(rows, converters)] if converters else rows


def _is_plain(connection: Any, fields: Sequence[Any]) -> bool:
    """Return whether nothing sees what was inserted before but the server.

    A field that does more before it is saved than to return its value may query, or store a file.
    So may one that converts values by a method of its own: Django converts those of a batch when
    the batches before it are inserted.
    """
    return (
        connection.ops.compiler("SQLInsertCompiler") is InsertCompiler
        and is_own(InsertCompiler.execute_sql)
        and all(map(pre_saves_attribute, fields))
        and all(is_own(getattr(each, name)) for each in fields for name in CONVERSIONS)
    )
