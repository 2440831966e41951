"""Saves instances of plain models by cached statements, without a query of Django's.

**save_statements** has the statements. Around them is done what ``Model.save_base()`` does: the
tables of parents are written first, in a transaction, and signals are sent on the bridge, if they
have receivers. A row whose statement is not cached is saved by Django's ``_save_table()`` on the
bridge, and an instance of any other model by its own ``save()``.
"""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, router, transaction
from django.db.models.signals import post_save, pre_save

from turbo_orm import bridge
from turbo_orm.backend import content_type_cache
from turbo_orm.backend.transaction import AsyncAtomic
from turbo_orm.execution import direct
from turbo_orm.query_cache.save_statements import (
    INSERT,
    INSERT_WITH_KEY,
    UPDATE,
    Kind,
    SaveStatements,
    save_statements,
)

_COLLECTIONS = {frozenset, list, set, tuple}
_ALL: frozenset[str] = frozenset()


async def insert(statements: SaveStatements, instance: Any, using: str) -> None:
    """Do what ``save(force_insert=True)`` does with an instance of a plain model."""
    if bridge.in_calling_thread.get() is not None:
        await bridge.run(by_django, instance, force_insert=True, using=using)
        return
    instance._prepare_related_fields_for_save(operation_name="save")
    await _Save(statements, instance, using, _ALL, force_insert=True).save()


async def save(
    instance: Any,
    *,
    using: str | None = None,
    update_fields: Any = None,
    force_insert: Any = False,
    force_update: bool = False,
) -> None:
    """Do what ``instance.save()`` does, with its options."""
    using = using or router.db_for_write(type(instance), instance=instance)
    statements = save_statements(type(instance), {})
    if (
        statements is None
        or (names := _names(statements, instance, update_fields, force_insert, force_update))
        is None
        or bridge.in_calling_thread.get() is not None
    ):
        await bridge.run(
            by_django,
            instance,
            using=using,
            update_fields=update_fields,
            force_insert=force_insert,
            force_update=force_update,
        )
        return
    instance._prepare_related_fields_for_save(operation_name="save")
    await _Save(statements, instance, using, names, force_insert, force_update).save()


def by_django(instance: Any, **options: Any) -> None:
    """Save an instance by its own ``save()``. Runs on the bridge."""
    instance.save(**options)
    # Its generic relations are touched in plain code.
    content_type_cache.fill(instance._state.db or options["using"], type(instance))


def _names(
    statements: SaveStatements,
    instance: Any,
    update_fields: Any,
    force_insert: Any,
    force_update: bool,
) -> frozenset[str] | None:
    """Return the names of the fields that are updated, none for all.

    Return ``None`` if there is more to it than that, or something to raise.
    """
    attributes, meta = instance.__dict__, instance._meta
    has_key = attributes.get(meta.pk.attname) is not None
    if update_fields is None:
        if (
            not attributes.keys() >= statements.attnames
            or (force_insert and (force_insert is not True or force_update))
            or (force_update and not has_key)
        ):
            return None
        return _ALL
    if (
        force_insert
        or instance._state.adding
        or not has_key
        or type(update_fields) not in _COLLECTIONS
    ):
        return None
    fields = meta._forward_fields_map
    names = meta._non_pk_concrete_field_names
    for name in update_fields:
        if type(name) is not str or name not in names or fields[name].attname not in attributes:
            return None
    return frozenset(update_fields) or None


def _of_table(table: Any, names: frozenset[str]) -> frozenset[str]:
    """Return those of the names of fields that are a table's own."""
    fields = table._meta.local_concrete_fields
    return names.intersection([name for each in fields for name in (each.name, each.attname)])


class _Save:
    """One call of ``save()`` of an instance: what ``save_base()`` is given."""

    __slots__ = ("_force_insert", "_force_update", "_instance", "_names", "_statements", "_using")

    def __init__(
        self,
        statements: SaveStatements,
        instance: Any,
        using: str,
        names: frozenset[str],
        force_insert: bool = False,
        force_update: bool = False,
    ) -> None:
        self._statements = statements
        self._instance = instance
        self._using = using
        self._names = names
        self._force_insert = force_insert
        self._force_update = force_update

    async def save(self) -> None:
        """Do what ``save_base()`` does."""
        instance, using = self._instance, self._using
        model, signals = type(instance), self._statements.signals
        names = self._names or None
        if signals.pre_save:
            named = {"instance": instance, "raw": False, "using": using, "update_fields": names}
            await bridge.run(pre_save.send, model, **named)
        if model._meta.parents:
            async with AsyncAtomic(using, savepoint=False, durable=False):
                is_inserted = await self._save_parents(model, {})
                is_updated = await self._save_own(is_inserted)
        else:
            try:
                is_updated = await self._save_own(False)
            except Exception:
                with transaction.mark_for_rollback_on_error(using=using):
                    raise
        instance._state.db = using
        instance._state.adding = False
        if signals.post_save:
            named = {"created": not is_updated, "update_fields": names, "raw": False}
            await bridge.run(post_save.send, model, instance=instance, **named, using=using)

    async def _save_own(self, is_parent_inserted: bool) -> bool:
        is_insert = self._force_insert or is_parent_inserted
        return await self._save_table(type(self._instance), is_insert, self._force_update)

    async def _save_parents(self, model: Any, updated: dict[Any, bool]) -> bool:
        """Do what Django's method of that name does. Return whether a row was inserted."""
        instance, is_inserted = self._instance, False
        for parent, link in model._meta.parents.items():
            key = parent._meta.pk.attname
            if getattr(instance, key) is None and getattr(instance, link.attname) is not None:
                setattr(instance, key, getattr(instance, link.attname))
            if parent not in updated:
                is_insert = await self._save_parents(parent, updated)
                updated[parent] = await self._save_table(parent, is_insert)
            is_inserted = is_inserted or not updated[parent]
            setattr(instance, link.attname, getattr(instance, key))
            if link.is_cached(instance):
                link.delete_cached_value(instance)
        return is_inserted

    async def _save_table(self, table: Any, is_insert: bool, is_update: bool = False) -> bool:
        """Do what Django's method of that name does. Return whether there was a row."""
        instance, meta = self._instance, table._meta
        key = meta.pk
        value = getattr(instance, key.attname)
        if value is None and (key is not meta.auto_field or key.has_default()):
            value = key.get_pk_value_on_save(instance)
            setattr(instance, key.attname, value)
        if instance._state.adding and not is_update and key.has_default():
            is_insert = True
        is_to_be_there = is_update or bool(self._names)
        if value is not None and not is_insert:
            is_updated = await self._update(table)
            if is_updated is None:
                return await self._by_django(table, is_insert, is_update)
            if is_updated:
                return True
            if is_to_be_there:
                raise self._not_updated(is_update)
            # It is new and has a key, or was deleted meanwhile.
            is_insert = True
        elif value is None and is_to_be_there:
            # A receiver has taken the key away: Django raises.
            return await self._by_django(table, is_insert, is_update)
        if await self._insert(table, INSERT if value is None else INSERT_WITH_KEY):
            return False
        return await self._by_django(table, is_insert, is_update)

    async def _update(self, table: Any) -> bool | None:
        """Return whether there was a row, ``None`` if the statement is not cached."""
        kind: Kind = UPDATE
        if self._names:
            kind = _of_table(table, self._names)
            if not kind:
                return True
        bound = await self._statements.bind(table, kind, self._instance, self._using)
        if bound is None:
            return None
        pgresult, _ = await direct.execute(self._using, bound)
        return bool(pgresult.command_tuples)

    async def _insert(self, table: Any, kind: Kind) -> bool:
        """Return whether the statement is cached."""
        instance = self._instance
        bound = await self._statements.bind(table, kind, instance, self._using)
        if bound is None:
            return False
        pgresult, _ = await direct.execute(self._using, bound)
        if pgresult.ntuples:
            setattr(instance, table._meta.pk.attname, int(pgresult.get_value(0, 0)))
        return True

    async def _by_django(self, table: Any, is_insert: bool, is_update: bool) -> bool:
        is_updated: bool = await bridge.run(
            self._instance._save_table,
            cls=table,
            force_insert=is_insert,
            force_update=is_update,
            using=self._using,
            update_fields=self._names or None,
        )
        return is_updated

    def _not_updated(self, is_forced: bool) -> Exception:
        error = getattr(self._instance, "NotUpdated", DatabaseError)  # since Django 6.0
        what = "Forced update" if is_forced else "Save with update_fields"
        found: Exception = error(f"{what} did not affect any rows.")
        return found
