"""Where sessions and caches are kept, and so what code waits for that uses them."""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import isclass
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.db import connections, router

from turbo_orm.backend.handler import has_async_connection
from turbo_orm.handlers.places import Place

_BY_ASYNC = {True: Place.BRIDGE, False: Place.THREAD}
# Caches that wait for a database, or for nothing.
_CACHES = (DatabaseCache, DummyCache, LocMemCache)


def has_no_server(cache: Any) -> bool:
    """Return whether a cache is in a database or in memory, so that no other server is asked."""
    return isinstance(cache, _CACHES)


def place_of_cache(cache: Any) -> Place:
    """Return where code runs that uses a cache."""
    if isinstance(cache, DatabaseCache):
        return _place_of_model(cache.cache_model_class)
    return Place.INLINE if has_no_server(cache) else Place.THREAD


def place_of_sessions() -> Place:
    """Return where code runs that loads or saves a session."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if _is_store(store, "signed_cookies"):
        return Place.INLINE
    if _is_store(store, "db"):
        is_there = is_in_database(store)
        return _place_of_model(store.get_model_class()) if is_there else Place.THREAD
    if _is_store(store, "cache"):
        return place_of_cache(caches[settings.SESSION_CACHE_ALIAS])
    return Place.THREAD


def place_of_databases() -> Place:
    """Return where code of Django's runs that may query any database: not those of all engines."""
    return _BY_ASYNC[all(map(has_async_connection, connections.settings))]


def _place_of_model(model: Any) -> Place:
    return _BY_ASYNC[has_async_connection(router.db_for_write(model))]


def is_djangos_store(store: Any) -> bool:
    """Return whether sessions are stored by a class of Django's, or one derived from it."""
    return any(_is_store(store, name) for name in ("cache", "cached_db", "db", "file"))


def is_in_database(store: Any) -> bool:
    """Return whether sessions are in a database, and their cache, if any, is no server's."""
    if not _is_store(store, "db"):
        return False
    return not _is_store(store, "cached_db") or has_no_server(caches[settings.SESSION_CACHE_ALIAS])


def _is_store(store: Any, name: str) -> bool:
    # The module is imported, if it is that of the store.
    module = sys.modules.get(f"django.contrib.sessions.backends.{name}")
    class_ = store if isclass(store) else type(store)
    return module is not None and issubclass(class_, module.SessionStore)
