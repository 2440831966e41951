"""All of Django on the async connection: models with any manager, and those of contrib apps.

``patch_django()`` has every call of ``sync_to_async()`` that leads to a database with an async
connection use the bridge, and every queryset hydrated by the native core; ``unpatch_django()``
puts back what was there. It is on from Django's start, so that all that is awaited in a
transaction is part of it, unless the settings have ``TURBO_ORM = {"PATCH_DJANGO": False}``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import wraps
from importlib import import_module
from inspect import getclosurevars
from operator import attrgetter
from typing import Any

from django.apps import apps
from django.core.cache.backends.base import BaseCache
from django.core.signals import request_finished, request_started
from django.db import connections
from django.utils.deprecation import MiddlewareMixin

from turbo_orm import conf
from turbo_orm.backend.handler import has_async_connection
from turbo_orm.bridge import installation, sync_to_async
from turbo_orm.execution import evaluation, iterables
from turbo_orm.handlers.stores import has_no_server, is_djangos_store, is_in_database
from turbo_orm.hydration.row_layout import NATIVE_ITERABLES
from turbo_orm.orm.queryset import AsyncQuerySet
from turbo_orm.patches import all_managers, async_managers
from turbo_orm.patches.call_alias import alias_of
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
}

_QUERYSET = "django.db.models.query:QuerySet"

# What the settings said when they were last applied: PATCH_DJANGO, and whether for all managers.
_wanted = (False, False)


def patch_django() -> None:
    """Make all of Django's ``a*`` methods run on an async connection, without a thread.

    These are the methods of all models, querysets, raw querysets and related managers, whatever
    their manager, and of ``django.contrib.auth``, ``sessions`` and ``contenttypes``. Rows of
    querysets on PostgreSQL are hydrated by the native core, in sync code, too. Calling it again
    has no effect.

    Raises ``AppRegistryNotReady`` before the models are loaded, and ``ImproperlyConfigured``
    unless ``"turbo_orm"`` is in ``INSTALLED_APPS``. Queries to databases of other engines, as the
    routers decide for each call, still run in a thread.
    """
    apps.check_models_ready()
    if apps.is_installed("turbo_orm"):
        # The app that calls this may be ready before turbo_orm is.
        async_managers.GROUP.install()
    installation.require()
    GROUP.install()


def unpatch_django() -> None:
    """Restore what ``patch_django()`` has replaced, if anything."""
    GROUP.uninstall()


def follow_setting(*, setting: str = conf.NAME, **kwargs: Any) -> None:
    """Receive ``setting_changed``: patch or unpatch Django where the setting is another by now.

    What was done by a call of ``patch_django()`` or ``unpatch_django()`` stays otherwise.
    """
    global _wanted
    if setting != conf.NAME:
        return
    is_wanted = conf.get("PATCH_DJANGO")
    wanted = (is_wanted, is_wanted and all_managers.are_wanted())
    if wanted == _wanted:
        return
    _wanted = wanted
    unpatch_django()
    if is_wanted:
        patch_django()


def _on_uninstall_setting() -> None:
    global _wanted
    _wanted = (False, False)


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
    yield from all_managers.patches()
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
        wrap=iterating_async,
    )


def _on_install() -> None:
    sync_to_async.redirect_everything(unless=_belongs_in_a_thread)


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


def iterating_async(original: Any) -> Any:
    """Return ``QuerySet.aiterator()``, to fetch chunks on the bridge."""

    @wraps(original)
    def aiterator(self: Any, chunk_size: int = 2000) -> AsyncIterator[Any]:
        method: Any = AsyncQuerySet.aiterator if _is_async(self.db) else original
        chunks: AsyncIterator[Any] = method(self, chunk_size)
        return chunks

    return aiterator


def _belongs_in_a_thread(
    func: Any, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bool:
    """Return whether what is called waits for something else than a database of ours.

    That is: a cache or a store of sessions elsewhere, which would block the event loop;
    middleware, but for that of sessions in a database; the receivers of the signals of requests,
    which close what the thread has opened; and what leads to a database of another engine.
    """
    if isinstance(owner, BaseCache):
        if not has_no_server(owner):
            return True
    elif isinstance(owner, MiddlewareMixin):
        owner = getattr(owner, "SessionStore", None)
        if not is_in_database(owner):
            return True
    elif is_djangos_store(owner):
        if not is_in_database(owner):
            return True
    elif getattr(func, "__module__", None) == "django.dispatch.dispatcher":
        signal = getclosurevars(func).nonlocals.get("self")
        if signal in (request_started, request_finished):
            return True
    return not _is_async(alias_of(func, owner, args, kwargs))


def _is_async(alias: str) -> bool:
    """Return whether a database has an async connection, or is unknown, which raises later."""
    return alias not in connections.settings or has_async_connection(alias)


GROUP = Group("For all of Django (PATCH_DJANGO)", _patches, _on_install, _on_uninstall)
SETTING = Group(
    "For the setting PATCH_DJANGO", _patches_of_setting, follow_setting, _on_uninstall_setting
)
