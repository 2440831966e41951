"""Which database a call of Django's leads to: what the routers name, as they will for the call.

Django's async methods call sync ones by ``sync_to_async()``. Those that lead to a database with an
async connection run on the bridge, and those that lead to another one in a thread.
"""

from __future__ import annotations

import sys
from inspect import getclosurevars, isclass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.cache.backends.db import DatabaseCache
from django.db import DEFAULT_DB_ALIAS, router
from django.db.models import Model, QuerySet
from django.db.models.manager import BaseManager
from django.db.models.query import RawQuerySet, prefetch_related_objects

_WRITING = frozenset(
    {
        "bulk_create",
        "bulk_update",
        "create",
        "delete",
        "get_or_create",
        "update",
        "update_or_create",
    }
)


def alias_of(func: Any, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return the alias of the database that a call leads to, the default one if nothing says it.

    ``owner`` is the object that the function is a method of, or ``None``.
    """
    if kwargs.get("using"):
        return str(kwargs["using"])
    alias = _of_owner(func, owner, kwargs)
    if alias is None and func is prefetch_related_objects:
        alias = _of_instances(*args)
    if alias is None and args:
        alias = _of_owner(func, args[0], {})
    if alias is None:
        alias = _of_closure(func)
    return DEFAULT_DB_ALIAS if alias is None else alias


def _of_owner(func: Any, owner: Any, kwargs: dict[str, Any]) -> str | None:
    name = getattr(func, "__name__", "")
    if isinstance(owner, Model):
        if name == "refresh_from_db":
            queryset = kwargs.get("from_queryset")
            if queryset is not None:
                return str(queryset.db)
            return owner._state.db or router.db_for_read(type(owner), instance=owner)
        return router.db_for_write(type(owner), instance=owner)
    if isinstance(owner, QuerySet):
        if name in _WRITING:
            hints: dict[str, Any] = owner._hints  # type: ignore[attr-defined]
            return owner._db or router.db_for_write(owner.model, **hints)  # type: ignore[attr-defined]
        return owner.db
    if isinstance(owner, RawQuerySet):
        return owner.db
    if isinstance(owner, BaseManager):
        # A related manager, of which Django asks the routers for the instance.
        model: Any = getattr(owner, "through", owner.model)
        return router.db_for_write(model, instance=getattr(owner, "instance", None))
    if isinstance(owner, DatabaseCache):
        return router.db_for_write(owner.cache_model_class)
    if (sessions := _session_model(owner)) is not None:
        return router.db_for_write(sessions)
    if _is_auth_backend(owner):
        return router.db_for_read(get_user_model())
    return None


def _of_instances(instances: Any = (), *lookups: Any) -> str | None:
    if isinstance(instances, QuerySet | RawQuerySet):
        return instances.db
    if isinstance(instances, list | tuple):
        for instance in instances:
            if isinstance(instance, Model):
                return instance._state.db
    for lookup in lookups:
        if isinstance(queryset := getattr(lookup, "queryset", None), QuerySet):
            return queryset.db
    return None


def _of_closure(func: Any) -> str | None:
    """Return that of the sync receivers of a signal, by what is sent to them."""
    if getattr(func, "__module__", None) != "django.dispatch.dispatcher":
        return None
    found = getclosurevars(func).nonlocals
    named, sender = found.get("named") or {}, found.get("sender")
    if isinstance(using := named.get("using"), str):
        return using
    if isclass(sender) and issubclass(sender, Model):
        return router.db_for_write(sender, instance=named.get("instance"))
    return None


def _is_auth_backend(owner: Any) -> bool:
    backends = sys.modules.get("django.contrib.auth.backends")
    return backends is not None and isinstance(owner, backends.BaseBackend)


def _session_model(store: Any) -> type[Model] | None:
    """Return the model of a session store, or of its class, that is in a database."""
    in_database = sys.modules.get("django.contrib.sessions.backends.db")
    class_: Any = store if isclass(store) else type(store)
    if in_database is None or not issubclass(class_, in_database.SessionStore):
        return None
    model: type[Model] = class_.get_model_class()
    return model
