"""Saves instances of plain models by cached statements, without a query of Django's.

**save_statements** has the statements. Every other instance is saved by Django, on the bridge.
"""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, router, transaction

from turbo_orm import bridge
from turbo_orm.backend import content_type_cache
from turbo_orm.execution import direct
from turbo_orm.query_cache.save_statements import (
    INSERT,
    INSERT_WITH_KEY,
    UPDATE,
    Kind,
    SaveStatements,
    is_insert,
    save_options,
    save_statements,
)

_COLLECTIONS = {frozenset, list, set, tuple}


async def insert(statements: SaveStatements, instance: Any, using: str) -> None:
    """Do what ``save(force_insert=True)`` does with an instance of a plain model."""
    instance._prepare_related_fields_for_save(operation_name="save")
    try:
        await _insert(statements, instance, using)
    except Exception:
        with transaction.mark_for_rollback_on_error(using=using):
            raise


async def save(
    instance: Any, *, using: str | None = None, update_fields: Any = None, **options: Any
) -> None:
    """Do what ``instance.save()`` does, with its options."""
    using = using or router.db_for_write(type(instance), instance=instance)
    kind = None if any(options.values()) else _kind(instance, update_fields)
    statements = None if kind is None else save_statements(type(instance), {})
    if kind is None or statements is None:
        await bridge.run(by_django, instance, using=using, update_fields=update_fields, **options)
    elif is_insert(kind):
        await insert(statements, instance, using)
    else:
        instance._prepare_related_fields_for_save(operation_name="save")
        try:
            await _update(statements, kind, instance, using)
        except Exception:
            with transaction.mark_for_rollback_on_error(using=using):
                raise


def by_django(instance: Any, **options: Any) -> None:
    """Save an instance by its own ``save()``. Runs on the bridge."""
    instance.save(**options)
    # Its generic relations are touched in plain code.
    content_type_cache.fill(instance._state.db or options["using"], type(instance))


def _kind(instance: Any, update_fields: Any) -> Kind | None:
    """Return how an instance is saved, or ``None`` if there is more to it."""
    attributes, meta, key = instance.__dict__, instance._meta, instance.pk
    is_new = key is None
    if instance._state.adding is not is_new:
        return None
    if update_fields is None:
        if not all(field.attname in attributes for field in meta.concrete_fields):
            return None
        return INSERT if is_new else UPDATE
    if is_new or type(update_fields) not in _COLLECTIONS:
        return None
    fields = meta._forward_fields_map
    names = meta._non_pk_concrete_field_names
    for name in update_fields:
        if type(name) is not str or name not in names or fields[name].attname not in attributes:
            return None
    return frozenset(update_fields) or None


async def _insert(statements: SaveStatements, instance: Any, using: str) -> None:
    meta = instance._meta
    key, attname = meta.pk, meta.pk.attname
    if getattr(instance, attname) is None and (key is not meta.auto_field or key.has_default()):
        setattr(instance, attname, key.get_pk_value_on_save(instance))
    kind = INSERT if getattr(instance, attname) is None else INSERT_WITH_KEY
    bound = await statements.bind(kind, instance, using)
    if bound is None:
        await bridge.run(by_django, instance, force_insert=True, using=using)
        return
    pgresult, _ = await direct.execute(using, bound)
    if pgresult.ntuples:
        setattr(instance, attname, int(pgresult.get_value(0, 0)))
    instance._state.db = using
    instance._state.adding = False


async def _update(statements: SaveStatements, kind: Kind, instance: Any, using: str) -> None:
    bound = await statements.bind(kind, instance, using)
    if bound is None:
        await bridge.run(by_django, instance, **save_options(kind), using=using)
        return
    pgresult, _ = await direct.execute(using, bound)
    if not pgresult.command_tuples:
        # It was deleted meanwhile.
        if kind is not UPDATE:
            error = getattr(instance, "NotUpdated", DatabaseError)  # since Django 6.0
            raise error("Save with update_fields did not affect any rows.")
        await _insert(statements, instance, using)
    instance._state.db = using
