"""What an ``AsyncManager`` needs of Django, installed with the app.

``django.db.connections`` and django-async-backend's ``async_connections`` answer with the running
task's connection, Django's async methods run on the bridge, and settings and models that change
clear the caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import django
from django.apps import apps

from turbo_orm.backend import (
    calling_thread,
    djangos_methods,
    handler,
    n_plus_one,
    task_connections,
)
from turbo_orm.bridge import installation, signals, sync_to_async
from turbo_orm.bridge.watchdog import watchdog
from turbo_orm.driver import pool
from turbo_orm.execution import direct
from turbo_orm.patches import required_names
from turbo_orm.patches.patch import Group, Patch, Receiver, Replacement
from turbo_orm.query_cache import cache, invalidation, verification

_DISPATCHER = "django.dispatch.dispatcher"
_SETTING_CHANGED = "django.core.signals:setting_changed"


def _patches() -> Iterator[Patch]:
    yield Replacement(
        "django.db:connections",
        "__class__",
        "async code and code on the bridge get the running task's async connection",
        handler.BridgedConnectionHandler,
    )
    yield Replacement(
        "django_async_backend.db:async_connections",
        "__class__",
        "each asyncio task gets a connection of its own",
        task_connections.TaskConnectionHandler,
    )
    yield Replacement(
        "django.utils.asyncio",
        "get_running_loop",
        "methods of connections that a tool has wrapped wait on the bridge",
        wrap=djangos_methods.checking_but_on_bridge,
    )
    modules = list(sync_to_async.MODULES)
    if apps.is_installed("django.contrib.contenttypes"):
        # Its classes are derived from managers: it can be imported once the models are loaded.
        modules.append(import_module(sync_to_async.GENERIC_RELATIONS).__name__)
    for module in modules:
        yield Replacement(
            module,
            "sync_to_async",
            "async methods of models with an AsyncManager run on the bridge, not in a thread",
            sync_to_async.sync_to_async,
        )
    yield from _signals()
    yield from _invalidation()
    yield Receiver(_SETTING_CHANGED, direct.follow_setting, "direct execution can be switched off")
    yield Receiver(
        _SETTING_CHANGED, n_plus_one.follow_setting, "warnings of N+1 queries can be switched off"
    )
    yield Receiver(
        _SETTING_CHANGED, watchdog.follow_setting, "the event loop's watchdog can be switched off"
    )
    yield Receiver(
        _SETTING_CHANGED,
        handler.forget_bridged_connections,
        "databases and time zones take effect on async connections",
    )
    yield Receiver(
        _SETTING_CHANGED,
        pool.forget_terms,
        "databases and time zones take effect on connections of a pool",
    )


def _invalidation() -> Iterator[Patch]:
    why = "lookups that are registered later clear the query cache"
    lookups = "django.db.models.query_utils:RegisterLookupMixin"
    yield Replacement(lookups, "_clear_cached_class_lookups", why, wrap=invalidation.clearing)
    for name in ("register_lookup", "_unregister_lookup"):
        yield Replacement(lookups, name, why, wrap=invalidation.clearing_for_instances)
    why = "fields, relations and options of a model that change later clear the query cache"
    # Where Django expires its own caches, it assigns one of them.
    options = "django.db.models.options:Options"
    yield Replacement(options, "__setattr__", why, wrap=invalidation.clearing)
    yield Receiver(_SETTING_CHANGED, invalidation.follow_setting, "settings clear the query cache")
    yield Receiver(
        _SETTING_CHANGED, verification.follow_setting, "hits of the query cache can be verified"
    )
    yield Receiver(
        "django.db.models.signals:class_prepared",
        invalidation.clear_cache,
        "models that are made clear the query cache",
    )


def _signals() -> Iterator[Patch]:
    yield Replacement(
        "asgiref.sync:AsyncToSync",
        "__call__",
        "async code that sync code calls uses the connection that is in the transaction",
        wrap=calling_thread.calling,
    )
    why = "async receivers that share a connection are awaited one after the other"
    if django.VERSION < (6, 1):
        yield Replacement(_DISPATCHER, "asyncio", why, signals.ASYNCIO)
    elif required_names.has(_DISPATCHER, "_run_parallel", without=f"no longer: {why}"):
        yield Replacement(_DISPATCHER, "_run_parallel", why, wrap=signals.one_after_the_other)


def _on_install() -> None:
    installation.is_installed = True
    cache.cache.configure()
    verification.configure()
    direct.configure()


def _on_uninstall() -> None:
    installation.is_installed = False
    # What changes from now on does not clear it.
    cache.cache.configure()
    watchdog.stop()


GROUP = Group("For models with an AsyncManager", _patches, _on_install, _on_uninstall)
