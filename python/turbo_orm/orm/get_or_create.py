"""``aget_or_create()`` and ``aupdate_or_create()``, made of cached terminals.

They do what Django's methods do, in that order: get, insert in a transaction or savepoint, and get
once more where another one was faster. A class that overrides one of the methods that these are
made of has Django's, on the bridge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError
from django.db.models import Field, Model
from django.db.models.utils import resolve_callables

from turbo_orm import bridge
from turbo_orm.backend.transaction import async_atomic
from turbo_orm.orm import save
from turbo_orm.query_cache.overrides import has_djangos

_SAVE = Model.save
_MADE_OF = frozenset({"create", "get"})
_AWAITED = ("acreate", "aget", "aget_or_create")
_AWAITING = "turbo_orm.orm.queryset"


def is_composed(queryset: Any) -> bool:
    """Return whether the methods of a queryset's class are Django's, and it has a chain.

    The async ones that are called here have to be turbo-orm's: Django calls the sync ones.
    """
    kind = type(queryset)
    return (
        queryset._cached is not None
        and not queryset._is_combined
        and kind._cacheable_terminals >= _MADE_OF
        and has_djangos(kind, "get_or_create", "update_or_create", "_extract_model_params")
        and all(getattr(kind, name).__module__ == _AWAITING for name in _AWAITED)
    )


async def get_or_create(
    queryset: Any, defaults: Mapping[str, Any] | None, kwargs: dict[str, Any]
) -> tuple[Any, bool]:
    """Return the object that matches, or a new one, and whether it is new."""
    queryset._for_write = True
    try:
        return await queryset.aget(**kwargs), False
    except queryset.model.DoesNotExist:
        params = queryset._extract_model_params(defaults, **kwargs)
        try:
            async with async_atomic(using=queryset.db):
                if any(map(callable, params.values())):
                    params = await bridge.run(dict, resolve_callables(params))
                return await queryset.acreate(**params), True
        except IntegrityError:
            try:
                return await queryset.aget(**kwargs), False
            except queryset.model.DoesNotExist:
                pass
            raise


async def update_or_create(
    queryset: Any,
    defaults: Mapping[str, Any] | None,
    create_defaults: Mapping[str, Any] | None,
    kwargs: dict[str, Any],
) -> tuple[Any, bool]:
    """Return the object that matches, updated, or a new one, and whether it is new."""
    written = defaults or {}
    if create_defaults is None:
        create_defaults = written
    queryset._for_write = True
    async with async_atomic(using=queryset.db):
        locked = queryset.select_for_update()
        instance, is_new = await locked.aget_or_create(create_defaults, **kwargs)
        if not is_new:
            # A value may be a function, and a setter the project's own.
            await bridge.run(_assign, instance, written)
            await _save(instance, queryset.db, _fields(instance, written))
    return instance, is_new


def _assign(instance: Any, values: Mapping[str, Any]) -> None:
    for name, value in resolve_callables(values):
        setattr(instance, name, value)


async def _save(instance: Any, using: str, fields: set[str] | None) -> None:
    """Do what ``save()`` does, which is what Django calls: ``asave()`` may do more."""
    options: dict[str, Any] = {"using": using}
    if fields is not None:
        options["update_fields"] = fields
    if getattr(type(instance), "save", None) is _SAVE:
        await save.save(instance, **options)
    else:
        await bridge.run(save.by_django, instance, **options)


def _fields(instance: Any, written: Mapping[str, Any]) -> set[str] | None:
    """Return the fields to be saved: those written and those that change by themselves.

    ``None`` for all, where something else than a column was written.
    """
    meta = instance._meta
    if not meta._non_pk_concrete_field_names >= set(written):
        return None
    fields = set(written)
    for field in meta.local_concrete_fields:
        if field not in meta.pk_fields and type(field).pre_save is not Field.pre_save:
            fields |= {field.name, field.attname}
    return fields
