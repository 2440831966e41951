"""Deletes an instance that nothing depends on by the cached statement of a queryset of its key.

Every other instance is deleted by Django, on the bridge: its collector looks for relations that
cascade, receivers of signals and parents.
"""

from __future__ import annotations

from inspect import getattr_static
from typing import Any

from django.db import router, transaction
from django.db.models import Model
from django.db.models.deletion import Collector
from django.db.models.signals import post_delete, pre_delete

from turbo_orm import bridge
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.execution import direct
from turbo_orm.orm.queryset import AsyncQuerySet
from turbo_orm.query_cache.cache import cache


async def delete(
    instance: Any, *, using: str | None = None, keep_parents: bool = False
) -> tuple[int, dict[str, int]]:
    """Do what ``instance.delete()`` does, with its options."""
    model = type(instance)
    if instance.pk is not None and _is_alone(model):
        using = using or router.db_for_write(model, instance=instance)
        # Where statements are logged, a transaction of its own is, and Django has none.
        if not direct.is_logged(using):
            return await _delete(instance, using)
    return await bridge.run(instance.delete, using=using, keep_parents=keep_parents)


async def _delete(instance: Any, using: str) -> tuple[int, dict[str, int]]:
    meta = instance._meta
    try:
        queryset: Any = AsyncQuerySet(model=type(instance), using=using)
        rows, _ = await queryset.filter(pk__in=[instance.pk]).adelete()
    except Exception:
        with transaction.mark_for_rollback_on_error(using=using):
            raise
    setattr(instance, meta.pk.attname, None)
    return rows, {meta.label: rows}


def _is_alone(model: type[Model]) -> bool:
    """Return whether one statement deletes an instance."""
    if pre_delete.has_listeners(model) or post_delete.has_listeners(model):
        return False
    if not (cache.is_enabled or cache.is_enabled_again()):
        return False
    entry = cache.model(model)
    if entry.delete_refusal is None:
        entry.delete_refusal = _reason_to_bypass(model)
    return not entry.delete_refusal


def _reason_to_bypass(model: Any) -> str:
    """Say what else Django does to delete an instance. Empty if nothing."""
    meta = model._meta
    for name in ("_is_pk_set", "pk"):
        method = getattr_static(Model, name, None)
        if getattr_static(model, name, None) is not method or not is_own(method):
            return f"{meta.label} overrides {name}"
    if len(getattr(meta, "pk_fields", [meta.pk])) != 1:
        return f"{meta.label} has a composite key"
    if not Collector(using="").can_fast_delete(model):
        return f"{meta.label} has parents, or something depends on it"
    return ""
