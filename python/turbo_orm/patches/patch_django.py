"""All of Django on the async connection: models with any manager, and those of contrib apps.

That is for the whole process, so it is off by default. ``patch_django()`` has every hop that
leads to a database use the bridge, and every queryset hydrated by the native core;
``unpatch_django()`` puts back what was there. ``TURBO_ORM = {"PATCH_DJANGO": True}`` does the
former when Django starts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from importlib import import_module
from inspect import getclosurevars
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.signals import request_finished, request_started, setting_changed
from django.db import connections
from django.db.models import QuerySet
from django.db.models.query import RawQuerySet
from django.utils.deprecation import MiddlewareMixin

from turbo_orm import conf
from turbo_orm.bridge import sync_to_async
from turbo_orm.execution import evaluation, fetching
from turbo_orm.orm.queryset import AsyncQuerySet

# The modules that hop to what leads to a database, beside those of **sync_to_async**, and the apps
# without which they are of no use.
_MODULES = {
    "django.contrib.auth.backends": "django.contrib.auth",
    "django.contrib.auth.decorators": "django.contrib.auth",
    "django.contrib.sessions.backends.base": "django.contrib.sessions",
    "django.contrib.sessions.backends.db": "django.contrib.sessions",
    "django.core.cache.backends.base": None,
    "django.core.paginator": None,
    "django.dispatch.dispatcher": None,
    "django.utils.deprecation": "django.contrib.sessions",
}

# Caches that wait for a database, or for nothing at all.
_CACHES = (DatabaseCache, DummyCache, LocMemCache)

# What was replaced: the owner, the name, and the object that was there.
_replaced: list[tuple[Any, str, Any]] = []

# What the settings have said last.
_wanted = False


def patch_django() -> None:
    """Have the ``a*`` methods of all of Django run on an async connection, without a thread.

    They are those of all models, querysets, raw querysets and related managers, whatever their
    manager, and of ``django.contrib.auth``, ``sessions`` and ``contenttypes``. Querysets on
    PostgreSQL are hydrated by the native core, in sync code, too. Done again, it does nothing.

    Raises ``AppRegistryNotReady`` before the models are loaded. For a database without async
    connection, the methods raise ``ImproperlyConfigured`` from then on.
    """
    apps.check_models_ready()
    if _replaced:
        return
    for name, app in _MODULES.items():
        if app is None or apps.is_installed(app):
            _replace_hops(import_module(name))
    sync_to_async.redirect_generic_relations()
    sync_to_async.redirect_everything(unless=_waits_for_something_else)
    _wrap(QuerySet, "_fetch_all", _hydrating)
    _wrap(QuerySet, "_iterator", _iterating)
    _replace(QuerySet, "aiterator", AsyncQuerySet.aiterator)
    _wrap(RawQuerySet, "iterator", _iterating_raw)


def unpatch_django() -> None:
    """Put back what ``patch_django()`` has replaced, if it has."""
    while _replaced:
        owner, name, original = _replaced.pop()
        setattr(owner, name, original)
    sync_to_async.redirect_everything(False)


def follow_settings() -> None:
    """Patch Django if the settings say so, and whenever they come to say so."""
    _follow(setting=conf.NAME)
    setting_changed.connect(_follow)


def _follow(*, setting: str, **kwargs: Any) -> None:
    """Do as the setting says, where that changes: what was done by hand stays."""
    global _wanted
    if setting != conf.NAME or conf.get("PATCH_DJANGO") == _wanted:
        return
    _wanted = not _wanted
    if _wanted:
        patch_django()
    else:
        unpatch_django()


def _replace_hops(module: Any) -> None:
    # django.core.paginator has none before 6.0.
    if hasattr(module, "sync_to_async"):
        _replace(module, "sync_to_async", sync_to_async.sync_to_async)


def _replace(owner: Any, name: str, value: Any) -> None:
    _replaced.append((owner, name, vars(owner)[name]))
    setattr(owner, name, value)


def _wrap(owner: Any, name: str, wrapped: Callable[[Any], Any]) -> None:
    method = vars(owner)[name]
    _replace(owner, name, wraps(method)(wrapped(method)))


def _on_postgresql(queryset: Any) -> str | None:
    """Return the alias that the routers name, if it is one of PostgreSQL."""
    using: str = queryset.db
    return using if connections[using].vendor == "postgresql" else None


def _hydrating(original: Any) -> Any:
    def _fetch_all(self: Any) -> None:
        if self._result_cache is None and (using := _on_postgresql(self)):
            evaluation.fill_cache(self, using)
        original(self)

    return _fetch_all


def _iterating(original: Any) -> Any:
    def _iterator(self: Any, use_chunked_fetch: bool, chunk_size: int | None) -> Iterator[Any]:
        if using := _on_postgresql(self):
            for chunk in evaluation.chunks(self, use_chunked_fetch, chunk_size, using):
                yield from chunk
        else:
            yield from original(self, use_chunked_fetch, chunk_size)

    return _iterator


def _iterating_raw(original: Any) -> Any:
    def iterator(self: Any) -> Iterator[Any]:
        if _on_postgresql(self):
            for instances in fetching.raw(self):
                yield from instances
        else:
            yield from original(self)

    return iterator


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
