"""The Django app: system checks, and connections that are closed when a request ends."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.signals import request_finished, request_started
from django_async_backend.db import async_connections

from turbo_orm.checks import check_engines, check_libpq


class TurboOrmConfig(AppConfig):
    name = "turbo_orm"
    verbose_name = "turbo-orm"

    def ready(self) -> None:
        checks.register(check_engines)
        checks.register(check_libpq)
        request_started.connect(close_async_connections)
        request_finished.connect(close_async_connections)


async def close_async_connections(**kwargs: Any) -> None:
    """Close the async connections of the task that served a request."""
    for connection in _opened_connections():
        await connection.close()


def _opened_connections() -> list[Any]:
    # Looking a connection up would make it, and for all() to make none is new in 6.0.
    handler: Any = async_connections
    return [handler[alias] for alias in handler if hasattr(handler._connections, alias)]
