"""The thread hops of Django's async methods, which go on the bridge where they lead to a database.

Django's ``a*`` methods are ``await sync_to_async(self.method)(…)``. It is the name
``sync_to_async`` in Django's modules that is replaced, by one function for them all. So a class
that defines a method of its own wins, ``super()`` reaches Django's, and nothing of it is copied.

By default it is the hops of whatever has an ``AsyncManager`` that go on the bridge, and those of
all the rest are asgiref's. ``redirect_everything()`` sends all of them there, but for what waits
for something else than a database.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from inspect import getclosurevars
from typing import Any

from asgiref.sync import SyncToAsync
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.signals import request_finished, request_started
from django.db.models import Manager, Model, QuerySet
from django.db.models.query import RawQuerySet, prefetch_related_objects
from django.utils.deprecation import MiddlewareMixin

from turbo_orm import bridge, deleting, saving
from turbo_orm.queryset import AsyncQuerySet
from turbo_orm.raw import AsyncRawQuerySet

# Where the methods of models, querysets and related managers hop.
_MODULES = {
    "django.db.models.base",
    "django.db.models.fields.related_descriptors",
    "django.db.models.query",
}
# Can be imported only where contenttypes is installed, and is, where there is a generic relation.
_GENERIC = "django.contrib.contenttypes.fields"

# Caches that wait for a database, or for nothing at all.
_CACHES = (DatabaseCache, DummyCache, LocMemCache)

# Django's methods of instances that may execute a statement which was learnt.
_LEARNT: dict[Any, Callable[..., Any]] = {Model.delete: deleting.delete, Model.save: saving.save}

# The classes whose methods go on the bridge. The manager's is added by its own module.
_bridged: tuple[type, ...] = (AsyncQuerySet, AsyncRawQuerySet)
_everything = False


def use_bridge(manager_class: type[Manager[Any]]) -> None:
    """Have the hops of models with such a manager use the bridge."""
    global _bridged
    _bridged = (*_bridged, manager_class)
    for name in _MODULES:
        _redirect(name)
    redirect_generic_relations()


def redirect_generic_relations() -> None:
    """Have the hops of generic relations use the bridge, too, if there can be any."""
    if _GENERIC in sys.modules:
        _redirect(_GENERIC)


def _redirect(name: str) -> None:
    module: Any = sys.modules[name]
    module.sync_to_async = sync_to_async


def redirect_everything(everything: bool = True) -> None:
    """Have the hops of all models use the bridge, or those of models with an AsyncManager."""
    global _everything
    _everything = everything


def redirects_everything() -> bool:
    """Return whether the hops of all models use the bridge."""
    return _everything


def sync_to_async(
    func: Callable[..., Any] | None = None, *, thread_sensitive: bool = True, **options: Any
) -> Any:
    """Return a coroutine function that calls a sync one, on the bridge or as asgiref does.

    What is not sensitive to its thread is meant for any other: password hashers, say. It stays
    with asgiref. Raises ``TypeError`` where asgiref's ``sync_to_async()`` does.
    """
    if func is None:
        return lambda func: sync_to_async(func, thread_sensitive=thread_sensitive, **options)
    hop = SyncToAsync(func, thread_sensitive=thread_sensitive, **options)
    if not thread_sensitive or options:
        return hop

    async def redirected(*args: Any, **kwargs: Any) -> Any:
        if _goes_on_bridge(func, args):
            method: Any = func
            learnt = _LEARNT.get(getattr(method, "__func__", None))
            if learnt is not None and not args:
                return await learnt(method.__self__, **kwargs)
            return await bridge.run(func, *args, **kwargs)
        return await hop(*args, **kwargs)

    return redirected


def _goes_on_bridge(func: Any, args: tuple[Any, ...]) -> bool:
    owner = getattr(func, "__self__", None)
    if _everything:
        return not _waits_for_something_else(func, owner)
    if isinstance(owner, Model):
        return _is_managed(type(owner))
    if func is prefetch_related_objects:
        return _is_prefetched(*args)
    return isinstance(owner, _bridged)


def _is_managed(model: type[Model]) -> bool:
    return any(isinstance(manager, _bridged) for manager in model._meta.managers)


def _is_prefetched(instances: Any, *lookups: Any) -> bool:
    """Return whether what is prefetched, or what it is prefetched for, has an AsyncManager."""
    if any(isinstance(getattr(lookup, "queryset", None), AsyncQuerySet) for lookup in lookups):
        return True
    if isinstance(instances, QuerySet | RawQuerySet):
        # To look at its instances might evaluate it.
        model: Any = instances.model
        return isinstance(instances, _bridged) or _is_managed(model)
    if isinstance(instances, Iterator):
        # To look would use it up. Django reads it more than once, and gets no further.
        return True
    if not isinstance(instances, Iterable):
        return False
    kinds = set(map(type, instances))
    # Where there is nothing, nothing is waited for.
    return not kinds or any(issubclass(kind, Model) and _is_managed(kind) for kind in kinds)


def _waits_for_something_else(func: Any, owner: Any) -> bool:
    """Return whether what is called belongs in a thread all the same.

    That is a cache elsewhere, which would keep the event loop waiting; middleware, but for that of
    sessions which are in a database; and the receivers of the signals of requests, which close
    what the thread has opened.
    """
    if isinstance(owner, BaseCache):
        return not isinstance(owner, _CACHES)
    if isinstance(owner, MiddlewareMixin):
        return not _has_sessions_in_database(owner)
    if getattr(func, "__module__", None) == "django.dispatch.dispatcher":
        signal = getclosurevars(func).nonlocals.get("self")
        return signal in (request_started, request_finished)
    return False


def _has_sessions_in_database(middleware: MiddlewareMixin) -> bool:
    sessions = sys.modules.get("django.contrib.sessions.middleware")
    if sessions is None or not isinstance(middleware, sessions.SessionMiddleware):
        return False
    backends = "django.contrib.sessions.backends"
    # Their modules are imported with the middleware's engine, if it is theirs.
    in_database, in_cache = (sys.modules.get(f"{backends}.{name}") for name in ("db", "cached_db"))
    if in_database is None or not issubclass(middleware.SessionStore, in_database.SessionStore):
        return False
    if in_cache is None or not issubclass(middleware.SessionStore, in_cache.SessionStore):
        return True
    return isinstance(caches[settings.SESSION_CACHE_ALIAS], _CACHES)
