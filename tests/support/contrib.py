"""A project with Django's own apps for users and sessions, all of them patched."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from textwrap import dedent
from typing import Any
from unittest import mock

from tests.support.project import run_in_project

SETTINGS: dict[str, Any] = {
    "ALLOWED_HOSTS": ["testserver"],
    "INSTALLED_APPS": [
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "turbo_orm",
        "tests.plain",
    ],
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    # Their tables are made without migrations, as those of the tests' own apps are.
    "MIGRATION_MODULES": {"auth": None, "contenttypes": None, "sessions": None},
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    "ROOT_URLCONF": "__main__",
    "TURBO_ORM": {"PATCH_DJANGO": True},
}

MAKE_TABLES = """
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    call_command("createcachetable", verbosity=0)
    answer(None)
"""
DATABASE_CACHE = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "plain_cache",
    }
}


def make_tables() -> None:
    run_in_project(MAKE_TABLES, **SETTINGS, CACHES=DATABASE_CACHE)


def run_in_contrib(code: str, **changes: Any) -> Any:
    """Run code in such a project, which has neither users nor sessions, and return its answer."""
    begin = "from tests.support.contrib import *\nempty()\n"
    return run_in_project(begin + dedent(code), **{**SETTINGS, **changes})


def empty() -> None:
    from django.contrib.auth.models import Group, User
    from django.contrib.sessions.models import Session

    for model in (Session, User, Group):
        model.objects.all().delete()


def in_the_event_loop(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine function where a thread is an error, and close its connections."""
    from tests.support.event_loop import only_the_event_loop

    async def main() -> Any:
        try:
            with only_the_event_loop(), hashing_in_place():
                return await function()
        finally:
            await close_connections()

    return asyncio.run(main())


async def close_connections() -> None:
    from django_async_backend.db import async_connections

    for alias in async_connections:
        await async_connections[alias].close()


def both(scenario: Callable[[Any], Coroutine[Any, Any, None]]) -> list[Any]:
    """Play a scenario by Django's sync methods and by the async ones: return what each told."""
    by_django, by_turbo_orm = Sync(), Async()
    empty()
    with suppress(StopIteration):
        scenario(by_django).send(None)
    empty()
    in_the_event_loop(lambda: scenario(by_turbo_orm))
    return [by_turbo_orm.told, by_django.told]


class Sync:
    """Calls sync methods and functions, and keeps what they return or raise."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def _call(self, owner: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
        # What is aset() of a session has no other name than this where it is sync.
        name = name if hasattr(owner, name) else f"__{name}item__"
        return getattr(owner, name)(*args, **kwargs)

    async def __call__(self, owner: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
        try:
            found = await self._call(owner, name, *args, **kwargs)
        except Exception as exc:
            self.told.append([name, type(exc).__name__])
            return None
        self.told.append([name, sorted(found) if isinstance(found, set) else str(found)])
        return found


class Async(Sync):
    """Calls the async ones."""

    async def _call(self, owner: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
        return await getattr(owner, f"a{name}")(*args, **kwargs)


@contextmanager
def hashing_in_place() -> Iterator[None]:
    """Have passwords hashed where they are, and not in a thread, as Django has it since 6.0."""

    def in_place(function: Any, **options: Any) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return call

    with (
        mock.patch("django.contrib.auth.hashers.sync_to_async", in_place, create=True),
        mock.patch("django.contrib.auth.sync_to_async", in_place, create=True),
    ):
        yield
