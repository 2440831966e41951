"""Related managers of foreign keys: Django's, with methods made of cached statements.

Django derives a class for each relation from the class of the model's default manager. ``adapt()``
gives it querysets that are looked up in the query cache, and async methods that do what Django's
sync ones do, statement by statement, without the bridge. Where a method that they are made of is a
project's own, or there is more to a relation, Django's are called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.db import router
from django.db.models import ForeignKey, Manager, OneToOneField

from turbo_orm.backend.transaction import async_atomic
from turbo_orm.hydration.instances import HAS_FETCH_MODES
from turbo_orm.orm.plain_managers import has_plain_class
from turbo_orm.orm.queryset import AsyncQuerySet, alters_data
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cached_chain import CachedChain
from turbo_orm.query_cache.prepared_values import DeferredValue

_FOREIGN_KEYS = {ForeignKey, OneToOneField}

_new = object.__new__


def adapt(manager_class: Any) -> None:
    """Give a class of Django's for the related objects of a foreign key these methods."""
    djangos = vars(manager_class)
    manager_class.get_queryset = _get_queryset(djangos["get_queryset"])
    manager_class._djangos_async = {name: djangos[name] for name in _METHODS if name in djangos}
    for name in manager_class._djangos_async:
        setattr(manager_class, name, _METHODS[name])


def _get_queryset(djangos: Callable[[Any], Any]) -> Any:
    @wraps(djangos)
    def get_queryset(self: Any) -> Any:
        made = None
        if not router.routers and has_plain_class(type(self)):
            made = _queryset(self)
        return djangos(self) if made is None else made

    return get_queryset


def _queryset(manager: Any) -> Any:
    """Return the queryset that Django makes, if its filter was recorded and nothing is unusual."""
    instance, field, model = manager.instance, manager.field, manager.model
    attributes = instance.__dict__
    target, *others = field.foreign_related_fields
    key = attributes.get(target.attname)
    if (
        not key
        or others
        or type(field) not in _FOREIGN_KEYS
        or instance._meta.pk is not target
        or field.remote_field.cache_name in attributes.get("_prefetched_objects_cache", ())
        or manager._hints
    ):
        return None
    root = cache.models.get(model)
    if root is None or root.ordering != model._meta.ordering:
        return None
    entry: Any = root.children.get(("filter", (field.name, type(instance)), False))
    if entry is None or entry.refusal or not entry.step.factories:
        return None
    (factory,) = entry.step.factories
    queryset = _new(manager._queryset_class)
    queryset.__dict__.update(
        model=model,
        _db=manager._db,
        _hints={"instance": instance},
        _known_related_objects={field: {key: instance}},
        _cached=CachedChain((entry, (DeferredValue(instance, factory),))),
    )
    if HAS_FETCH_MODES:
        queryset._fetch_mode = instance._state.fetch_mode
    return queryset


def _composes(manager: Any) -> bool:
    """Return whether the methods here do what Django's would."""
    return (
        not router.routers
        and has_plain_class(type(manager))
        and type(manager.field) in _FOREIGN_KEYS
        and len(manager.field.foreign_related_fields) == 1
        and type(manager.model._base_manager) is Manager
    )


async def aadd(self: Any, *objs: Any, bulk: bool = True) -> None:
    if not (bulk and _composes(self)):
        await self._djangos_async["aadd"](self, *objs, bulk=bulk)
        return
    self._check_fk_val()
    self._remove_prefetched_objects()
    db = router.db_for_write(self.model, instance=self.instance)
    name = self.field.name
    keys = []
    for obj in objs:
        if not isinstance(obj, self.model):
            raise TypeError(f"'{self.model._meta.object_name}' instance expected, got {obj!r}")
        setattr(obj, name, self.instance)
        if obj._state.adding or obj._state.db != db:
            raise ValueError(
                f"{obj!r} instance isn't saved. Use bulk=False or save the object first."
            )
        keys.append(obj.pk)
    (key,) = self.field.get_foreign_related_value(self.instance)
    queryset: Any = AsyncQuerySet(model=self.model, using=db)
    await queryset.filter(pk__in=keys).aupdate(**{name: key})


async def acreate(self: Any, **kwargs: Any) -> Any:
    if not _composes(self):
        return await self._djangos_async["acreate"](self, **kwargs)
    self._check_fk_val()
    self._remove_prefetched_objects()
    kwargs[self.field.name] = self.instance
    db = router.db_for_write(self.model, instance=self.instance)
    return await AsyncQuerySet.acreate(self.db_manager(db).get_queryset(), **kwargs)


async def aremove(self: Any, *objs: Any, bulk: bool = True) -> None:
    if not (bulk and _composes(self)):
        await self._djangos_async["aremove"](self, *objs, bulk=bulk)
        return
    if not objs:
        return
    self._check_fk_val()
    value = self.field.get_foreign_related_value(self.instance)
    keys = set()
    for obj in objs:
        if not isinstance(obj, self.model):
            raise TypeError(f"'{self.model._meta.object_name}' instance expected, got {obj!r}")
        if self.field.get_local_related_value(obj) != value:
            raise self.field.remote_field.model.DoesNotExist(
                f"{obj!r} is not related to {self.instance!r}."
            )
        keys.add(obj.pk)
    await _clear(self, self.filter(pk__in=keys))


async def aclear(self: Any, *, bulk: bool = True) -> None:
    if not (bulk and _composes(self)):
        await self._djangos_async["aclear"](self, bulk=bulk)
        return
    self._check_fk_val()
    await _clear(self, self)


async def _clear(manager: Any, related: Any) -> None:
    manager._remove_prefetched_objects()
    db = router.db_for_write(manager.model, instance=manager.instance)
    await AsyncQuerySet.aupdate(related.using(db), **{manager.field.name: None})


async def aset(self: Any, objs: Iterable[Any], *, bulk: bool = True, clear: bool = False) -> None:
    if not (bulk and _composes(self) and type(objs) in (list, tuple)):
        await self._djangos_async["aset"](self, objs, bulk=bulk, clear=clear)
        return
    self._check_fk_val()
    objs = tuple(objs)
    if not self.field.null:
        await self.aadd(*objs)
        return
    db = router.db_for_write(self.model, instance=self.instance)
    async with async_atomic(using=db, savepoint=False):
        if clear:
            await self.aclear()
            await self.aadd(*objs)
            return
        old = set(await AsyncQuerySet.alist(self.using(db).all()))
        new = []
        for obj in objs:
            if obj in old:
                old.remove(obj)
            else:
                new.append(obj)
        await self.aremove(*old)
        await self.aadd(*new)


_METHODS = {each.__name__: alters_data(each) for each in (aadd, acreate, aremove, aclear, aset)}
