"""The Django app: system checks, and connections that are closed when a request ends."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.signals import request_finished, request_started

from turbo_orm.checks import check_engines, check_libpq
from turbo_orm.tasks import async_connections


class TurboOrmConfig(AppConfig):
    name = "turbo_orm"
    verbose_name = "turbo-orm"

    def ready(self) -> None:
        checks.register(check_engines)
        checks.register(check_libpq)
        request_started.connect(close_async_connections)
        request_finished.connect(close_async_connections)


async def close_async_connections(**kwargs: Any) -> None:
    """Have the task that served a request give back its connections.

    They are when the task ends; this is for tasks that serve several, as tests do.
    """
    async_connections.give_back_idle()
