"""All of Django on the async connection: models with any manager, and those of contrib apps.

That is for the whole process, so it is off by default. ``patch_django()`` has every call of
``sync_to_async()`` that leads to a database use the bridge, and every queryset hydrated by the
native core; ``unpatch_django()`` puts back what was there. ``TURBO_ORM = {"PATCH_DJANGO": True}``
does the former when Django starts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import wraps
from importlib import import_module
from inspect import getclosurevars
from operator import attrgetter
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.signals import request_finished, request_started
from django.utils.deprecation import MiddlewareMixin

from turbo_orm import conf
from turbo_orm.bridge import installation, sync_to_async
from turbo_orm.execution import evaluation, iterables
from turbo_orm.hydration.row_layout import NATIVE_ITERABLES
from turbo_orm.orm.queryset import AsyncQuerySet
from turbo_orm.patches import async_managers
from turbo_orm.patches.patch import Group, Patch, Receiver, Replacement
from turbo_orm.query_cache.cache import cache

# The modules that call sync_to_async() for what leads to a database, beside those in which
# **async_managers** replaces it, and the apps without which they are of no use.
_MODULES = {
    "django.contrib.auth.backends": "django.contrib.auth",
    "django.contrib.auth.decorators": "django.contrib.auth",
    "django.contrib.sessions.backends.base": "django.contrib.sessions",
    "django.contrib.sessions.backends.db": "django.contrib.sessions",
    "django.core.cache.backends.base": None,
    "django.core.paginator": None,
    "django.utils.deprecation": "django.contrib.sessions",
}

_QUERYSET = "django.db.models.query:QuerySet"

# Caches that wait for a database, or for nothing.
_CACHES = (DatabaseCache, DummyCache, LocMemCache)

# The setting's value when it was last applied.
_wanted = False


def patch_django() -> None:
    """Have the ``a*`` methods of all of Django run on an async connection, without a thread.

    They are those of all models, querysets, raw querysets and related managers, whatever their
    manager, and of ``django.contrib.auth``, ``sessions`` and ``contenttypes``. Querysets on
    PostgreSQL are hydrated by the native core, in sync code, too. Done again, it does nothing.

    Raises ``AppRegistryNotReady`` before the models are loaded, and ``ImproperlyConfigured``
    unless ``"turbo_orm"`` is in ``INSTALLED_APPS``. For a database without async connection, the
    methods raise ``ImproperlyConfigured`` from then on.
    """
    apps.check_models_ready()
    if apps.is_installed("turbo_orm"):
        # The app that calls this may be ready before turbo_orm is.
        async_managers.GROUP.install()
    installation.require()
    GROUP.install()


def unpatch_django() -> None:
    """Put back what ``patch_django()`` has replaced, if it has."""
    GROUP.uninstall()


def follow_setting(*, setting: str = conf.NAME, **kwargs: Any) -> None:
    """Receive ``setting_changed``: patch or unpatch Django where the setting is another by now.

    What was done by a call of ``patch_django()`` or ``unpatch_django()`` stays otherwise.
    """
    global _wanted
    if setting != conf.NAME or conf.get("PATCH_DJANGO") == _wanted:
        return
    _wanted = not _wanted
    if _wanted:
        patch_django()
    else:
        unpatch_django()


def _on_uninstall_setting() -> None:
    global _wanted
    _wanted = False


def _patches_of_setting() -> Iterator[Patch]:
    yield Receiver(
        "django.core.signals:setting_changed",
        follow_setting,
        "override_settings(TURBO_ORM=…) patches and unpatches Django",
    )


def _patches() -> Iterator[Patch]:
    for name, app in _MODULES.items():
        if app is not None and not apps.is_installed(app):
            continue
        # django.core.paginator has none before 6.0.
        if hasattr(import_module(name), "sync_to_async"):
            yield Replacement(
                name,
                "sync_to_async",
                "what leads to a database runs on the bridge, not in a thread",
                sync_to_async.sync_to_async,
            )
    why = "rows of all querysets on PostgreSQL are hydrated by the native core"
    for iterable in sorted(NATIVE_ITERABLES, key=attrgetter("__name__")):
        owner = f"django.db.models.query:{iterable.__name__}"
        yield Replacement(owner, "__iter__", why, wrap=iterables.hydrating)
    yield Replacement(
        "django.db.models.query:RawModelIterable", "__iter__", why, wrap=iterables.hydrating_raw
    )
    yield Replacement(
        _QUERYSET, "_fetch_all", "lists are hydrated while they arrive", wrap=hydrating
    )
    yield Replacement(
        _QUERYSET,
        "aiterator",
        "chunks are fetched on the bridge, not in a thread",
        AsyncQuerySet.aiterator,
    )


def _on_install() -> None:
    sync_to_async.redirect_everything(unless=_waits_for_something_else)


def _on_uninstall() -> None:
    sync_to_async.redirect_everything(False)


def hydrating(original: Any) -> Any:
    """Return ``QuerySet._fetch_all()``, to hydrate a list while its rows arrive.

    Where another package has replaced it, too, that is to see a queryset without results: then the
    rows are made where Django makes them (turbo_orm.execution.iterables).
    """

    @wraps(original)
    def _fetch_all(self: Any) -> None:
        if (
            self._result_cache is None
            and not cache.has_foreign("_fetch_all")
            and (using := iterables.on_postgresql(self))
        ):
            evaluation.fill_cache(self, using)
        original(self)

    return _fetch_all


def _waits_for_something_else(func: Any, owner: Any) -> bool:
    """Return whether what is called belongs in a thread all the same.

    That is: a cache elsewhere, which would block the event loop; middleware, but for that of
    sessions in a database; and the receivers of the signals of requests, which close what the
    thread has opened.
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


GROUP = Group("For all of Django (PATCH_DJANGO)", _patches, _on_install, _on_uninstall)
SETTING = Group(
    "For the setting PATCH_DJANGO", _patches_of_setting, follow_setting, _on_uninstall_setting
)
