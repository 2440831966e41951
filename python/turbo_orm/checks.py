"""System checks: what is wrong with a project's settings, before a query fails by it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.db import OperationalError, connections, router
from django.db.models import Model

from turbo_orm import conf
from turbo_orm.backend.handler import (
    async_pool_options,
    has_async_connection,
    has_async_engine,
    suggested_engine,
)
from turbo_orm.backends.postgresql.pool import given_options, largest_size
from turbo_orm.driver import libpq, multiplexing
from turbo_orm.handlers.places import dotted_name
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
                    hint=f"Set its ENGINE to {suggested_engine(settings_dict)!r}; it is "
                    f"{settings_dict['ENGINE']!r}.",
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
            id="turbo_orm.E005",
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
        yield Error(
            f"{conf.NAME}[{key!r}] is {value!r}, and has to be {_wanted(key)}.",
            hint=f"Its default is {conf.default(key)!r}.",
            id="turbo_orm.E003",
        )


def _wanted(key: str) -> str:
    if key in conf.CHOICES:
        return " or ".join(map(repr, conf.CHOICES[key]))
    default = conf.DEFAULTS[key]
    if type(default) is tuple:
        return "a list of dotted names"
    if type(default) is dict:
        return "a dict of aliases with positive ints"
    if type(default) is int:
        return "a positive int" if default else "a positive int or 0"
    return f"of type {type(default).__name__}"


def check_replicas(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that the databases of ``REPLICAS`` are there."""
    return [
        Error(
            f"{conf.NAME}['REPLICAS'] names {alias!r}, which is not in DATABASES.",
            hint="Its keys are aliases of DATABASES, its values weights.",
            id="turbo_orm.E006",
        )
        for alias in conf.get("REPLICAS")
        if alias not in connections.settings
    ]


def check_names(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that what ``ON_EVENT_LOOP`` names is there, by the name that it is looked up by.

    It is imported for that.
    """
    return [message for name in conf.get("ON_EVENT_LOOP") for message in _of_name(name)]


def _of_name(name: str) -> Iterator[CheckMessage]:
    try:
        # The name behind a colon is found, so that the hint can say how to write it.
        found = resolve_name(name.replace(":", "."))
    except Exception as exc:
        yield Warning(
            f"{conf.NAME}['ON_EVENT_LOOP'] names {name!r}, which cannot be imported: {exc}",
            hint="An entry is the dotted name of a function, a class, a module or a package.",
            id="turbo_orm.W004",
        )
        return
    defined = found.__name__ if isinstance(found, ModuleType) else dotted_name(found)
    # Of middleware, the path in MIDDLEWARE will do.
    if name not in settings.MIDDLEWARE and not f"{defined}.".startswith(f"{name}."):
        yield Warning(
            f"{conf.NAME}['ON_EVENT_LOOP'] names {name!r}, which has no effect: it is looked up "
            f"by the name that it is defined by.",
            hint=f"Write {defined!r}.",
            id="turbo_orm.W005",
        )


_DJANGOS_HANDLER = {"django.core.asgi", "django.core.handlers.asgi"}


def check_asgi_application(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that ``ASGI_APPLICATION``, where it is set, is made by ``turbo_orm.asgi``.

    The source of its module is read, and not imported: that would load the middleware, and do
    whatever else a process does that is about to serve.
    """
    name = getattr(settings, "ASGI_APPLICATION", None)
    imported = _imported(name.rpartition(".")[0]) if isinstance(name, str) else set()
    if "turbo_orm.asgi" in imported or imported.isdisjoint(_DJANGOS_HANDLER):
        return []
    without = sorted({"ON_EVENT_LOOP", "SYNC_VIEWS"} & set(conf.given()))
    keys = f", where {' and '.join(without)} of {conf.NAME} have no effect" if without else ""
    return [
        Info(
            f"The ASGI_APPLICATION {name!r} is Django's own, which starts a thread for each "
            f"request{keys}.",
            hint="Import get_asgi_application() from turbo_orm.asgi there, in place of "
            "django.core.asgi.",
            id="turbo_orm.I002",
        )
    ]


def _imported(module: str) -> set[str]:
    """Return what the source of a module imports, or nothing if there is none to be read."""
    try:
        spec: Any = find_spec(module)
        source = spec.loader.get_source(module)
        nodes = list(ast.walk(ast.parse(source)))
    except Exception:
        return set()
    names = {
        name
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        for name in (str(node.module), f"{node.module}.{alias.name}")
    }
    return names | {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }


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


def check_multiplexing(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that ``MULTIPLEX`` has the effect that it asks for."""
    if not conf.get("MULTIPLEX"):
        return []
    needed = [key for key in ("DIRECT_EXECUTION", "PREPARE", "QUERY_CACHE") if not conf.get(key)]
    if needed:
        return [
            Warning(
                f"{conf.NAME}['MULTIPLEX'] has no effect without {' and '.join(needed)}.",
                hint="Set it to 0, or what it needs to True, which is the default.",
                id="turbo_orm.W006",
            )
        ]
    return [
        message
        for alias, settings_dict in connections.settings.items()
        if has_async_engine(settings_dict)
        for message in _of_sharing(alias, largest_size(async_pool_options(settings_dict)))
    ]


def _of_sharing(alias: str, size: int) -> Iterator[CheckMessage]:
    wanted = conf.get("MULTIPLEX")
    most = multiplexing.most_of(size) if size else 0
    if most < wanted:
        pool = f"a pool of {size} connections" if size else "no pool"
        yield Warning(
            f"{conf.NAME}['MULTIPLEX'] is {wanted}, and {alias!r} has {pool}: the number of "
            f"connections that are shared is {most}.",
            hint=f"Raise OPTIONS['pool']['max_size'] to {4 * wanted + 1}, or lower MULTIPLEX.",
            id="turbo_orm.W006",
        )


def check_connection_ages(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check that ``CONN_MAX_AGE`` is not refused, and has an effect in async code, too."""
    return [
        message
        for alias, settings_dict in connections.settings.items()
        if has_async_engine(settings_dict) and settings_dict["CONN_MAX_AGE"] != 0
        for message in _of_age(alias, settings_dict)
    ]


def _of_age(alias: str, settings_dict: dict[str, Any]) -> Iterator[CheckMessage]:
    if settings_dict["OPTIONS"].get("pool"):
        yield Error(
            f"{alias!r} has a CONN_MAX_AGE and an OPTIONS['pool'], which Django refuses when it "
            "connects.",
            hint="Leave one of them out. How old a pool's connections may get is the option "
            "'max_lifetime' of the pool.",
            id="turbo_orm.E004",
        )
    elif async_pool_options(settings_dict) is None:
        yield Info(
            f"CONN_MAX_AGE of {alias!r} has no effect in async code: without a pool, a "
            "connection is closed at the end of the task that has opened it.",
            hint=f"Set ENGINE to {suggested_engine(settings_dict)!r}, and leave OPTIONS['pool'] "
            "out.",
            id="turbo_orm.I001",
        )


def check_number_of_connections(
    app_configs: Any, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that the servers admit all connections that the pools of processes may open.

    Like all checks that query, it runs where ``--database`` names one, and in ``migrate``.
    """
    return [
        message
        for alias in databases or ()
        if has_async_connection(alias)
        for message in _of_number(alias, connections.settings[alias])
    ]


def check_poolers(
    app_configs: Any, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check whether statements can be prepared: behind a pooler they are not.

    Like all checks that query, it runs where ``--database`` names one, and in ``migrate``.
    """
    return [
        Info(
            f"A pooler is in front of {alias!r}: cached statements are not prepared, since each "
            "transaction may be in another session"
            + (", and connections are not shared." if conf.get("MULTIPLEX") else "."),
            hint='Set TURBO_ORM["PREPARE"] to False to say so.',
            id="turbo_orm.I002",
        )
        for alias in databases or ()
        if conf.get("PREPARE") and has_async_connection(alias) and _has_pooler(alias)
    ]


def _has_pooler(alias: str) -> bool:
    """Return whether another process than the one that has accepted a connection answers it."""
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (answers,) = cursor.fetchone()
            accepted: int = cursor.connection.info.backend_pid
            return bool(answers != accepted)
    except OperationalError:
        return False


def _of_number(alias: str, settings_dict: dict[str, Any]) -> Iterator[CheckMessage]:
    sizes = {
        "async": largest_size(async_pool_options(settings_dict)),
        "sync": largest_size(given_options(settings_dict)),
    }
    number = sum(sizes.values())
    processes = _processes()
    if number and processes * number > (admitted := _admitted(alias)):
        shares = ", ".join(f"{size} of {code} code's pool" for code, size in sizes.items() if size)
        how_many = f", there are {processes} processes (WEB_CONCURRENCY)" if processes > 1 else ""
        yield Warning(
            f"A process may open {number} connections to {alias!r} ({shares}){how_many}, and the "
            f"server admits {admitted}.",
            hint="Lower OPTIONS['pool']['max_size'] or the number of processes, or raise "
            "max_connections of the server. Silence this where a pooler is in between.",
            id="turbo_orm.W003",
        )


def _processes() -> int:
    """Return how many processes a server has: uvicorn and gunicorn take it of the environment."""
    given = os.environ.get("WEB_CONCURRENCY", "")
    return max(int(given), 1) if given.isdecimal() else 1


def _admitted(alias: str) -> float:
    """Return how many connections a server admits, or infinity if it is not there."""
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
            )
            admitted: int = cursor.fetchone()[0]
            return admitted
    except OperationalError:
        # What is about to use it says so.
        return float("inf")
