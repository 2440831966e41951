"""The query cache for models with any manager whose querysets are of Django's own class.

``TURBO_ORM["QUERY_CACHE_ALL_MANAGERS"]`` has such managers make a ``PlainQuerySet``, as long as
Django is patched. Where a database is of another engine they do not: its async methods go to a
thread, which those of an ``AsyncQuerySet`` refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import wraps
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from turbo_orm import conf
from turbo_orm.backend.handler import has_async_connection
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.orm.plain_queryset import PlainQuerySet
from turbo_orm.patches.patch import Patch, Replacement
from turbo_orm.query_cache.cache import cache


def are_wanted() -> bool:
    """Return whether the settings say so."""
    wanted: bool = conf.get("QUERY_CACHE_ALL_MANAGERS")
    return wanted and all(map(has_async_connection, connections))


def patches() -> Iterator[Patch]:
    """Yield what is patched for it, with all of Django."""
    if are_wanted():
        yield Replacement(
            "django.db.models.manager:BaseManager",
            "get_queryset",
            "querysets of all managers use the query cache (QUERY_CACHE_ALL_MANAGERS)",
            wrap=caching,
        )


def caching(original: Any) -> Any:
    """Return ``BaseManager.get_queryset()``, to make querysets that use the query cache.

    The manager that Django makes for its own use reads the query of each.
    """
    if not is_own(original):
        return original

    @wraps(original)
    def get_queryset(self: Any) -> Any:
        if (
            self._queryset_class is not QuerySet
            or self.name == "_base_manager"
            or not (cache.is_enabled or cache.is_enabled_again())
            # A tool has replaced methods of Django's querysets.
            or PlainQuerySet._overridden
        ):
            return original(self)
        return PlainQuerySet(model=self.model, using=self._db, hints=self._hints)

    return get_queryset
