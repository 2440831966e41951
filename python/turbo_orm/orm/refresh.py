"""``arefresh_from_db()``, whose row is fetched by a cached statement.

Django's ``refresh_from_db()`` takes a queryset to fetch the row with. It is given one that has the
row already, or, where there is more to it, it has its own way on the bridge.
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import getattr_static
from typing import Any, Self

from django.db.models import Manager, Model
from django.db.models.constants import LOOKUP_SEP

from turbo_orm import bridge
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.orm.queryset import AsyncQuerySet
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.overrides import overridden

_METHODS = ["_get_pk_val", "get_deferred_fields", "pk", "refresh_from_db"]


async def refresh(
    instance: Any,
    *,
    using: str | None = None,
    fields: Iterable[str] | None = None,
    from_queryset: Any = None,
) -> None:
    """Do what ``instance.refresh_from_db()`` does, with its options."""
    names = fields if fields is None else list(fields)
    queryset = _queryset(instance, using, from_queryset)
    if queryset is None or not _is_loaded(instance, names):
        await bridge.run(
            instance.refresh_from_db, using=using, fields=names, from_queryset=from_queryset
        )
        return
    if names is None:
        # As Django does, before it asks.
        instance._prefetched_objects_cache = {}
    queryset = queryset.filter(pk=instance.pk)
    if names is not None:
        queryset = queryset.only(*sorted(set(names)))
    instance.refresh_from_db(fields=names, from_queryset=_Fetched(await queryset.aget()))


def _queryset(instance: Any, using: str | None, given: Any) -> Any:
    """Return the queryset that Django would take, or ``None`` if it has to do so itself."""
    if not _is_plain(type(instance)):
        return None
    if given is None:
        return AsyncQuerySet(type(instance), using=using, hints={"instance": instance})
    if type(given) is not AsyncQuerySet:
        return None
    return given if using is None else given.using(using)


def _is_loaded(instance: Any, names: list[str] | None) -> bool:
    """Return whether all fields are loaded, or those to be refreshed are names of fields."""
    if names is None:
        return not instance.get_deferred_fields()
    prefetched = getattr(instance, "_prefetched_objects_cache", ())
    fields = instance._meta._forward_fields_map
    for name in names:
        if type(name) is not str or LOOKUP_SEP in name or name in prefetched or name not in fields:
            return False
    return bool(names)


class _Fetched:
    """Stands in for a queryset whose one row was fetched."""

    def __init__(self, instance: Model) -> None:
        self._instance = instance

    def filter(self, **kwargs: Any) -> Self:
        return self

    def only(self, *names: str) -> Self:
        return self

    def get(self) -> Model:
        return self._instance


def _is_plain(model: type[Model]) -> bool:
    """Return whether nothing but Django's code runs when attributes are set."""
    if not (cache.is_enabled or cache.is_enabled_again()):
        return False
    entry = cache.model(model)
    if entry.refresh_refusal is None:
        entry.refresh_refusal = _reason_to_bypass(model)
    return not entry.refresh_refusal


def _reason_to_bypass(model: Any) -> str:
    meta = model._meta
    if name := overridden(model, _METHODS):
        return f"{meta.label} overrides {name}"
    if model.__setattr__ is not object.__setattr__:
        return f"{meta.label} overrides __setattr__()"
    if type(meta.base_manager) is not Manager or not is_own(Manager.db_manager):
        return f"{meta.label} has a base manager of its own"
    for field in meta.concrete_fields:
        descriptor = type(getattr_static(model, field.attname))
        if not descriptor.__module__.startswith("django."):
            return f"{field} has a descriptor of its own"
    return ""
