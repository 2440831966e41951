"""Overrides the settings of a package's tests, however they configure Django."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.apps.registry import Apps
from django.conf import LazySettings, settings
from django.db import connections
from django.db.models.signals import pre_migrate


def have(entry: dict[str, Any], has_turbo_orm: bool, override: dict[str, Any]) -> None:
    """Have the databases be on a server, and turbo-orm be installed.

    ``entry`` is what each database has; its name is followed by the alias.
    """
    _after("_setup", lambda: _override(entry, has_turbo_orm, override))
    _after("configure", lambda: _override(entry, has_turbo_orm, override))


def when_loaded(function: Callable[[], None]) -> None:
    """Call a function when all models are loaded for the first time."""
    populate: Any = Apps.populate

    @wraps(populate)
    def populate_and_call(self: Apps, *args: Any) -> None:
        was_ready = self.ready
        populate(self, *args)
        if self.ready and not was_ready:
            Apps.populate = populate  # type: ignore[method-assign]
            function()

    Apps.populate = populate_and_call  # type: ignore[method-assign]


def have_extensions(names: Iterable[str]) -> None:
    """Have each database have extensions of PostgreSQL's before its tables are made."""

    def create(using: str, **kwargs: Any) -> None:
        with connections[using].cursor() as cursor:
            for name in names:
                cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")

    when_loaded(lambda: pre_migrate.connect(create, weak=False))


def _after(name: str, function: Callable[[], None]) -> None:
    method = getattr(LazySettings, name)

    @wraps(method)
    def overridden(self: LazySettings, *args: Any, **kwargs: Any) -> None:
        method(self, *args, **kwargs)
        if self is settings:
            function()

    setattr(LazySettings, name, overridden)


def _override(entry: dict[str, Any], has_turbo_orm: bool, override: dict[str, Any]) -> None:
    for name, value in override.items():
        setattr(settings, name, value)
    settings.DATABASES = {
        alias: {
            **entry,
            "NAME": f"{entry['NAME']}_{alias}",
            "OPTIONS": {**entry["OPTIONS"]},
            "ATOMIC_REQUESTS": database.get("ATOMIC_REQUESTS", False),
            # A name of the test database would be one for SQLite, or for several runs at a time.
            "TEST": {k: v for k, v in database.get("TEST", {}).items() if k != "NAME"},
        }
        for alias, database in (settings.DATABASES or {"default": {}}).items()
    }
    if has_turbo_orm:
        apps = settings.INSTALLED_APPS
        # A list or a tuple: tests add to it.
        settings.INSTALLED_APPS = type(apps)([*apps, "turbo_orm"])
        settings.TURBO_ORM = override.get("TURBO_ORM", {})
