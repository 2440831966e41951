"""System checks: what is wrong with a project's settings, before a query fails by it."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections, router
from django.db.models import Model

from turbo_orm import conf
from turbo_orm.backend.handler import ENGINE, has_async_engine
from turbo_orm.codecs import libpq
from turbo_orm.orm.manager import AsyncManager


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


def check_installation(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that the app is installed where turbo-orm is used: it is registered by the import."""
    if apps.is_installed("turbo_orm"):
        return []
    if hasattr(settings, conf.NAME):
        what = f"The setting {conf.NAME} is there"
    elif (model := next(_with_async_managers(), None)) is not None:
        what = f"{model._meta.label} has an AsyncManager"
    else:
        return []
    return [
        Error(
            f'{what}, and "turbo_orm" is not in INSTALLED_APPS: nothing of Django is async.',
            hint='Add "turbo_orm" to INSTALLED_APPS.',
            id="turbo_orm.E004",
        )
    ]


def _with_async_managers() -> Iterator[type[Model]]:
    for model in apps.get_models():
        if any(isinstance(manager, AsyncManager) for manager in model._meta.managers):
            yield model


def _databases_of_async_managers() -> dict[str, type[Model]]:
    """Return the aliases that such models are read from or written to, with a model of each."""
    found: dict[str, type[Model]] = {}
    for model in _with_async_managers():
        for alias in (router.db_for_read(model), router.db_for_write(model)):
            found.setdefault(alias, model)
    return found


def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that ``TURBO_ORM`` has keys of turbo_orm.conf, and values of their types."""
    given = getattr(settings, conf.NAME, {})
    if not isinstance(given, dict):
        return [
            Error(
                f"The setting {conf.NAME} has to be a dict, and is {given!r}.",
                hint=f"Its keys are {', '.join(conf.DEFAULTS)}.",
                id="turbo_orm.E003",
            )
        ]
    return [error for key, value in given.items() for error in _errors(key, value)]


def _errors(key: Any, value: Any) -> Iterator[CheckMessage]:
    if key not in conf.DEFAULTS:
        close = get_close_matches(str(key).upper(), conf.DEFAULTS, n=1)
        keys = f"Its keys are {', '.join(conf.DEFAULTS)}."
        yield Error(
            f"The setting {conf.NAME} has a key {key!r}, which turbo-orm does not have.",
            hint=f"Did you mean {close[0]!r}?" if close else keys,
            id="turbo_orm.E002",
        )
    elif not conf.is_valid(key, value):
        is_number = type(conf.DEFAULTS[key]) is int
        wanted = "a positive int" if is_number else f"of type {type(conf.DEFAULTS[key]).__name__}"
        yield Error(
            f"{conf.NAME}[{key!r}] is {value!r}, and has to be {wanted}.",
            hint=f"Its default is {conf.DEFAULTS[key]!r}.",
            id="turbo_orm.E003",
        )


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
