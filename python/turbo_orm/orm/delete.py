"""Deletes instances, and what depends on them, by cached statements.

**delete_statements** has those that need no more than keys: Django's collector has found that it
fetches no row and calls no receiver. Every other instance is deleted by Django, on the bridge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import router, transaction
from django.db.models.deletion import Collector

from turbo_orm import bridge
from turbo_orm.backend.transaction import AsyncAtomic
from turbo_orm.execution import direct
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cache_entry import Refusal
from turbo_orm.query_cache.delete_statements import Deletion, delete_statements
from turbo_orm.query_cache.outcome import Miss
from turbo_orm.query_cache.overrides import has_djangos

# The methods of querysets after which Django deletes all rows that it fetches.
_STEPS = {"exclude", "filter", "order_by", "reverse"}

type Counts = tuple[int, dict[str, int]]


async def delete(instance: Any, *, using: str | None = None, keep_parents: bool = False) -> Counts:
    """Do what ``instance.delete()`` does, with its options."""
    meta = instance._meta
    key = instance.__dict__.get(meta.pk.attname)
    if key is not None:
        using = using or router.db_for_write(type(instance), instance=instance)
        statements = await delete_statements(instance, using)
        deletions = None if statements is None else statements.bind([key], instance)
        if deletions is not None:
            counts = await _delete(deletions, using)
            setattr(instance, meta.pk.attname, None)
            return counts
    return await bridge.run(instance.delete, using=using, keep_parents=keep_parents)


async def _delete(deletions: Sequence[Deletion], using: str) -> Counts:
    """Execute the statements that delete one instance, as Django's collector does."""
    if len(deletions) > 1:
        return await _delete_in_transaction(deletions, using)
    bound, label = deletions[0]
    try:
        pgresult, _ = await direct.execute(using, bound)
    except Exception:
        with transaction.mark_for_rollback_on_error(using=using):
            raise
    rows = pgresult.command_tuples or 0
    return rows, {label: rows}


async def _delete_in_transaction(deletions: Sequence[Deletion], using: str) -> Counts:
    counts: dict[str, int] = {}
    async with AsyncAtomic(using, savepoint=False, durable=False):
        results = await direct.execute_together(using, [each.bound for each in deletions])
        for number, (bound, label) in enumerate(deletions):
            pgresult, _ = results[number] if results else await direct.execute(using, bound)
            if label and (rows := pgresult.command_tuples):
                counts[label] = counts.get(label, 0) + rows
    return sum(counts.values()), counts


def fetches_first(queryset: Any) -> bool:
    """Return whether Django fetches the rows of a queryset, a plain one, to delete them.

    That is asked where the queryset has no cached statement that deletes them.
    """
    if (
        queryset._cached is None
        or router.routers
        or "delete" not in queryset._cacheable_terminals
        or not has_djangos(type(queryset), "delete")
        or bridge.in_calling_thread.get() is not None
    ):
        return False
    entry = queryset._cached[0]
    while entry.step is not None:
        if entry.step.name not in _STEPS:
            return False
        entry = entry.parent
    return not Collector(using="").can_fast_delete(queryset)


def refuse(queryset: Any, miss: Miss) -> None:
    """Note that no statement deletes the rows of a queryset, since Django fetches them."""
    cache.refuse(queryset._cached[0], miss.key, Refusal("the rows decide what Django does next"))


async def delete_queryset(queryset: Any) -> Counts:
    """Do what Django does with a queryset whose instances it fetches first."""
    fetched = queryset.select_related(None).order_by()
    fetched._for_write = True
    using = fetched.db
    objects = await fetched.alist()
    if not objects:
        async with AsyncAtomic(using, savepoint=False, durable=False):
            return 0, {}
    statements = await delete_statements(objects[0], using)
    deletions = None
    if statements is not None:
        key = queryset.model._meta.pk.attname
        deletions = statements.bind([getattr(each, key) for each in objects], objects[0])
    if deletions is None:
        return await bridge.run(_collect_and_delete, queryset, fetched, using)
    return await _delete_in_transaction(deletions, using)


def _collect_and_delete(queryset: Any, fetched: Any, using: str) -> Counts:
    """Delete instances that are fetched, by Django's collector. Runs on the bridge."""
    collector = Collector(using=using, origin=queryset)
    collector.collect(fetched)
    counts: Counts = collector.delete()
    return counts
