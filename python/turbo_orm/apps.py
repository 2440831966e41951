"""The Django app: system checks, and connections that are closed when a request ends."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.signals import request_finished, request_started

from turbo_orm import atomic_requests, hops, patching
from turbo_orm.checks import (
    check_databases_when_patched,
    check_engines,
    check_libpq,
    check_settings,
)
from turbo_orm.tasks import async_connections


class TurboOrmConfig(AppConfig):
    name = "turbo_orm"
    verbose_name = "turbo-orm"

    def ready(self) -> None:
        for check in (check_databases_when_patched, check_engines, check_libpq, check_settings):
            checks.register(check)
        hops.redirect_generic_relations()
        patching.follow_settings()
        atomic_requests.use_bridge()
        request_started.connect(close_async_connections)
        request_finished.connect(close_async_connections)


async def close_async_connections(**kwargs: Any) -> None:
    """Have the task that served a request give back its connections.

    They are when the task ends; this is for tasks that serve several, as tests do.
    """
    async_connections.give_back_idle()
