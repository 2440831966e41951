"""The Django app: system checks, and what the settings and the other apps ask for."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from turbo_orm.bridge import sync_to_async
from turbo_orm.checks import (
    check_databases_when_patched,
    check_engines,
    check_libpq,
    check_settings,
)
from turbo_orm.execution import direct
from turbo_orm.patches import atomic_requests, debug_toolbar, patch_django
from turbo_orm.query_cache.cache import cache


class TurboOrmConfig(AppConfig):
    name = "turbo_orm"
    verbose_name = "turbo-orm"

    def ready(self) -> None:
        for check in (check_databases_when_patched, check_engines, check_libpq, check_settings):
            checks.register(check)
        cache.configure()
        direct.configure()
        sync_to_async.redirect_generic_relations()
        patch_django.follow_settings()
        atomic_requests.use_bridge()
        debug_toolbar.use_bridge()
