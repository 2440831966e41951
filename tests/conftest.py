"""A real PostgreSQL, a configured Django, and a loop on which nothing may leave the loop's thread.

``TURBO_ORM_TEST_DSN`` names a server; otherwise the embedded one is started. The tests make two
databases of their own there and drop them at the end.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asgiref.sync
import django
import psycopg
import pytest
from django.conf import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from atlas.postgres import database, server_dsn

# So that its assertions say what differs.
pytest.register_assert_rewrite(
    "tests.support.chains", "tests.support.reading", "tests.support.scenario"
)

DATABASES = {alias: f"turbo_orm_test_{alias}_{os.getpid()}" for alias in ("default", "other")}

EXTENSIONS = ["citext", "hstore"]


def pytest_configure(config: pytest.Config) -> None:
    dsn = server_dsn("TURBO_ORM_TEST_DSN")
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in DATABASES.values():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            create_extensions(make_conninfo(dsn, dbname=name))
    config.stash[_DSN] = dsn
    databases = {
        alias: database(make_conninfo(dsn, dbname=name)) for alias, name in DATABASES.items()
    }
    settings.configure(
        # The default database once more, with a pool: for the event loop, and for nothing else.
        DATABASES={**databases, "pooled": pooled(databases["default"])},
        # django-async-backend warns of pools, which were none of an event loop of their own once.
        ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.postgres",
            "turbo_orm",
            "atlas",
            "tests.library",
            "tests.plain",
        ],
        # Without migrations of its own, so that the tables of the test app can refer to it.
        MIGRATION_MODULES={"contenttypes": None},
        SECRET_KEY="for tests only",
        # Pillow looks into the files of an ImageField, and no test has any.
        SILENCED_SYSTEM_CHECKS=["fields.E210"],
        USE_TZ=True,
    )
    django.setup()


def pooled(database: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a database with a pool."""
    pool = {"min_size": 1, "max_size": 4, "timeout": 5}
    return {**database, "OPTIONS": {**database.get("OPTIONS", {}), "pool": pool}}


def create_extensions(dsn: str) -> None:
    """Create those of ``EXTENSIONS`` that the server has, before Django asks for their types."""
    query = "SELECT name FROM pg_available_extensions WHERE name = ANY(%s)"
    with psycopg.connect(dsn, autocommit=True) as connection:
        for (name,) in connection.execute(query, [EXTENSIONS]).fetchall():
            connection.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(name)))


def pytest_unconfigure(config: pytest.Config) -> None:
    dsn = config.stash.get(_DSN, None)
    if dsn is None:
        return
    from django.db import connections

    connections.close_all()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in DATABASES.values():
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


_DSN = pytest.StashKey[str]()


@pytest.fixture(scope="session", autouse=True)
def tables() -> None:
    """Make the tables of all apps in both databases."""
    from django.core.management import call_command

    for alias in DATABASES:
        call_command("migrate", database=alias, run_syncdb=True, verbosity=0)


@pytest.fixture(scope="session")
def library(tables: None) -> None:
    """Fill the tables that the tests only read."""
    from tests.library.data import fill

    fill()


@pytest.fixture(scope="session")
def extended(library: None) -> None:
    """Make and fill the tables that have types of extensions."""
    from django.db import connection

    from tests.library.rows import EXTENDED

    with connection.cursor() as cursor:
        cursor.execute("SELECT extname FROM pg_extension")
        missing = {*EXTENSIONS} - {name for (name,) in cursor.fetchall()}
    if missing:
        pytest.skip(f"the server does not have {' and '.join(sorted(missing))}")
    for model, rows in EXTENDED.items():
        with connection.schema_editor() as editor:
            editor.create_model(model)
        for row in rows:
            model.objects.create(**row)


@pytest.fixture(scope="session")
def driver(tables: None) -> Iterator[psycopg.Connection]:
    """Connect as psycopg does without Django, under its own adapters, in UTC."""
    from django.db import connections

    from turbo_orm.codecs import libpq

    libpq.bind()
    parameters = connections["default"].get_connection_params()
    names = {"dbname", "user", "password", "host", "port"} & set(parameters)
    with psycopg.connect(**{name: parameters[name] for name in names}, autocommit=True) as driver:
        driver.execute("SET TIME ZONE 'UTC'")
        yield driver


@pytest.fixture
def scratch(tables: None) -> None:
    """Have the tables that tests write to empty, and their keys begin at 1."""
    for alias in DATABASES:
        empty(alias)


def empty(alias: str) -> None:
    """Empty the tables that tests write to, and have their keys begin at 1 again.

    DELETE would be faster, and would leave it open in which order new rows are found.
    """
    from django.db import connections

    from tests.library.data import WRITTEN

    tables = ", ".join(model._meta.db_table for model in WRITTEN)
    with connections[alias].cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")


type Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def run() -> Run:
    """Return a function that runs a coroutine function on an event loop, and guards it.

    While it runs, a thread pool, ``sync_to_async()`` and a sync cursor are errors. Its
    connections are closed at the end, and have to be in a state to be.
    """

    def run(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async def main() -> Any:
            try:
                # A test that waits for what never comes is to fail, not to hang.
                async with asyncio.timeout(60):
                    return await function()
            finally:
                await close_connections()

        with only_the_event_loop(), asyncio.Runner() as runner:
            return runner.run(main())

    return run


async def close_connections() -> None:
    from turbo_orm.backend.task_connections import async_connections

    for alias in DATABASES:
        connection = async_connections[alias]
        assert connection.block is None
        await connection.close()


@contextlib.contextmanager
def only_the_event_loop() -> Iterator[None]:
    """Make it an error to start a thread, to hop to one, or to use a sync connection."""

    def forbid(what: str, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def forbidden(*args: Any, **kwargs: Any) -> Any:
            # asyncio resolves host names in its executor: that is not ours to change.
            if socket.getaddrinfo in args:
                return original(*args, **kwargs)
            raise AssertionError(f"{what} in async code")

        patch.setattr(owner, name, forbidden)

    with pytest.MonkeyPatch.context() as patch:
        forbid("a thread pool was used", ThreadPoolExecutor, "submit")
        forbid("sync_to_async() was called", asgiref.sync.SyncToAsync, "__call__")
        forbid("async_to_sync() was called", asgiref.sync.AsyncToSync, "__call__")
        forbid("a sync connection was opened", psycopg, "connect")
        forbid("a sync connection was opened", psycopg.Connection, "connect")
        forbid("a sync cursor was used", psycopg.Cursor, "execute")
        forbid("a sync cursor was used", psycopg.ServerCursor, "execute")
        yield


@pytest.fixture
def read(library: None, run: Run) -> Any:
    """Return a function that reads a queryset in every way, and compares with Django's answer."""
    from tests.support.reading import Read

    return Read(run)


@pytest.fixture
def play(tables: None, run: Run) -> Any:
    """Return a function that plays a scenario by Django and by turbo-orm, and compares."""
    from tests.support.scenario import Play

    return Play(run, lambda: empty("default"))


@pytest.fixture
def chains(library: None, run: Run) -> Any:
    """Return a function that plays a chain with one value after another, and compares."""
    from tests.support.chains import Chains

    return Chains(run)
