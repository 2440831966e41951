"""System checks: what is wrong with a project's set-up, before a query finds out."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections, router
from django.db.models import Model

from turbo_orm import libpq
from turbo_orm.connection import ENGINE, has_async_engine
from turbo_orm.manager import AsyncManager


def check_engines(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that the databases of models with an AsyncManager have an async connection."""
    errors: list[CheckMessage] = []
    for alias, model in _databases_of_async_managers().items():
        settings_dict = connections.settings[alias]
        if not has_async_engine(settings_dict):
            errors.append(
                Error(
                    f"{model._meta.label} has an AsyncManager, and its database {alias!r} has no "
                    f"async connection.",
                    hint=f"Set its ENGINE to {ENGINE!r}; it is {settings_dict['ENGINE']!r}.",
                    id="turbo_orm.E001",
                )
            )
    return errors


def _databases_of_async_managers() -> dict[str, type[Model]]:
    """Return the aliases that such models are read from or written to, with a model of each."""
    found: dict[str, type[Model]] = {}
    for model in apps.get_models():
        if any(isinstance(manager, AsyncManager) for manager in model._meta.managers):
            for alias in (router.db_for_read(model), router.db_for_write(model)):
                found.setdefault(alias, model)
    return found


def check_libpq(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that psycopg's libpq was found, without which rows are read from tuples."""
    if libpq.bind():
        return []
    return [
        Warning(
            "The libpq that psycopg uses was not found: results are read from psycopg's tuples, "
            "which is slower.",
            hint="Install psycopg[binary] or psycopg[c].",
            id="turbo_orm.W001",
        )
    ]
