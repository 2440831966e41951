"""The Django app: system checks, and what the settings and the other apps ask for."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from turbo_orm import atomic_requests, hops, patching, toolbar
from turbo_orm.checks import (
    check_databases_when_patched,
    check_engines,
    check_libpq,
    check_settings,
)


class TurboOrmConfig(AppConfig):
    name = "turbo_orm"
    verbose_name = "turbo-orm"

    def ready(self) -> None:
        for check in (check_databases_when_patched, check_engines, check_libpq, check_settings):
            checks.register(check)
        hops.redirect_generic_relations()
        patching.follow_settings()
        atomic_requests.use_bridge()
        toolbar.use_bridge()
