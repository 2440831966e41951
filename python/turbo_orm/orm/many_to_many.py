"""Related managers of many-to-many relations: Django's, with methods made of cached statements.

Rows of the table between are inserted and deleted as Django does: the same statements in the same
blocks, without the bridge. Django's methods are called where ``m2m_changed`` has receivers, and
where a method that these are made of is a project's own. Those insert the rows of a model that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from django.db import router
from django.db.models import ForeignKey, Manager, Q, signals

from turbo_orm import bridge
from turbo_orm.backend.transaction import async_atomic
from turbo_orm.execution import direct
from turbo_orm.orm import link_rows
from turbo_orm.orm.plain_managers import has_plain_class
from turbo_orm.orm.queryset import AsyncQuerySet, alters_data
from turbo_orm.query_cache.lookup import lookup
from turbo_orm.query_cache.outcome import Hit


def adapt(manager_class: Any) -> None:
    """Give a class of Django's for a many-to-many relation these methods."""
    djangos = vars(manager_class)
    manager_class._djangos_async = {name: djangos[name] for name in _METHODS}
    for name, method in _METHODS.items():
        setattr(manager_class, name, method)


def _composes(manager: Any) -> bool:
    """Return whether the methods here do what Django's would."""
    through = manager.through
    return (
        not router.routers
        and has_plain_class(type(manager))
        and type(through._default_manager) is Manager
        and type(manager.source_field) is ForeignKey
        and type(manager.target_field) is ForeignKey
        and not (signals.m2m_changed.receivers and signals.m2m_changed.has_listeners(through))
    )


async def aadd(self: Any, *objs: Any, through_defaults: Any = None) -> None:
    if through_defaults or not (self.through._meta.auto_created and _composes(self)):
        await self._djangos_async["aadd"](self, *objs, through_defaults=through_defaults)
        return
    self._remove_prefetched_objects()
    db = router.db_for_write(self.through, instance=self.instance)
    async with async_atomic(using=db, savepoint=False):
        await _add(self, db, objs)


async def aremove(self: Any, *objs: Any) -> None:
    if not _composes(self):
        await self._djangos_async["aremove"](self, *objs)
        return
    self._remove_prefetched_objects()
    db = router.db_for_write(self.through, instance=self.instance)
    if objs:
        # As Django does, of whatever type they are.
        keys = {
            self.target_field.get_foreign_related_value(obj)[0]
            if isinstance(obj, self.model)
            else obj
            for obj in objs
        }
        async with async_atomic(using=db, savepoint=False):
            await _remove(self, db, keys)


async def aclear(self: Any) -> None:
    if not _composes(self):
        await self._djangos_async["aclear"](self)
        return
    self._remove_prefetched_objects()
    db = router.db_for_write(self.through, instance=self.instance)
    async with async_atomic(using=db, savepoint=False):
        await _remove(self, db, None)


async def aset(
    self: Any, objs: Iterable[Any], *, clear: bool = False, through_defaults: Any = None
) -> None:
    if type(objs) not in (list, tuple) or not _composes(self):
        djangos = self._djangos_async["aset"]
        await djangos(self, objs, clear=clear, through_defaults=through_defaults)
        return
    objs = tuple(objs)
    db = router.db_for_write(self.through, instance=self.instance)
    async with async_atomic(using=db, savepoint=False):
        self._remove_prefetched_objects()
        if clear:
            await _remove(self, db, None)
            await _add(self, db, objs, through_defaults)
            return
        target = self.target_field
        related = self.get_queryset()
        # It is a new one: using() would copy its query.
        related._db = db
        queryset = related.values_list(target.target_field.attname, flat=True)
        old = set(await AsyncQuerySet.alist(queryset))
        new = []
        for obj in objs:
            key = (
                target.get_foreign_related_value(obj)[0]
                if isinstance(obj, self.model)
                else target.get_prep_value(obj)
            )
            if key in old:
                old.remove(key)
            else:
                new.append(obj)
        if old and new and await _change_together(self, db, old, new, through_defaults):
            return
        if old:
            await _remove(self, db, {*old})
        await _add(self, db, new, through_defaults)


async def acreate(self: Any, *, through_defaults: Any = None, **kwargs: Any) -> Any:
    if not _composes(self):
        djangos = self._djangos_async["acreate"]
        return await djangos(self, through_defaults=through_defaults, **kwargs)
    db = router.db_for_write(type(self.instance), instance=self.instance)
    made = await AsyncQuerySet.acreate(self.db_manager(db).get_queryset(), **kwargs)
    await self.aadd(made, through_defaults=through_defaults)
    return made


async def _change_together(
    manager: Any, db: str, removed: set[Any], added: Sequence[Any], through_defaults: Any
) -> bool:
    """Delete the rows to keys and insert those to objects by one message, if that is possible."""
    if _adds_by_django(manager, through_defaults) or direct.is_logged(db):
        return False
    old = _linking(manager, db, removed)
    statements: list[Any] = [lookup(old, "delete", old._cached)]
    for source, target in _directions(manager):
        keys = manager._get_target_ids(target, added)
        statements.append(await link_rows.insertion(manager, db, source, target, keys))
    return (
        all(isinstance(each, Hit) for each in statements)
        and await direct.execute_together(db, statements) is not None
    )


def _adds_by_django(manager: Any, through_defaults: Any) -> bool:
    return bool(through_defaults) or not manager.through._meta.auto_created


def _directions(manager: Any) -> Sequence[tuple[str, str]]:
    """Return the names of the fields from and to: of a symmetrical relation, also reversed."""
    names = manager.source_field_name, manager.target_field_name
    return (names, names[::-1]) if manager.symmetrical else (names,)


async def _add(manager: Any, db: str, objs: Sequence[Any], through_defaults: Any = None) -> None:
    if not objs:
        return
    by_django = _adds_by_django(manager, through_defaults)
    for source, target in _directions(manager):
        if by_django:
            add = partial(manager._add_items, source, target, through_defaults=through_defaults)
            await bridge.run(add, *objs)
        else:
            keys = manager._get_target_ids(target, objs)
            await link_rows.insert(manager, db, source, target, keys)


async def _remove(manager: Any, db: str, keys: set[Any] | None) -> None:
    """Delete the rows to these keys, or all."""
    await _linking(manager, db, keys).adelete()


def _linking(manager: Any, db: str, keys: set[Any] | None) -> Any:
    """Return the queryset of the rows to these keys, or of all."""
    source, target = manager.source_field_name, manager.target_field_name
    (own,) = manager.related_val
    filters = _between(source, own, target, keys)
    if manager.symmetrical:
        filters |= _between(target, own, source, keys)
    queryset: Any = AsyncQuerySet(model=manager.through, using=db)
    return queryset.filter(filters)


def _between(source: str, own: Any, target: str, keys: set[Any] | None) -> Q:
    return Q((source, own)) if keys is None else Q((source, own), (f"{target}__in", keys))


_METHODS = {each.__name__: alters_data(each) for each in (aadd, acreate, aremove, aclear, aset)}
