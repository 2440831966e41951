"""The databases of a test process: made on the server of the tests, and dropped at the end.

With pytest-xdist the controller starts the server, and each worker makes databases of its own.
"""

import os
from typing import Any

import psycopg
from django.db import connections
from psycopg import sql
from psycopg.conninfo import make_conninfo

import atlas.postgres

NAMES = {alias: f"turbo_orm_test_{alias}_{os.getpid()}" for alias in ("default", "other")}

# Without a pool where a test asks for none: what a task does with a connection of its own shows.
ENGINE = "django_async_backend.db.backends.postgresql"

EXTENSIONS = ["citext", "hstore"]


def database(dsn: str, **overrides: Any) -> dict[str, Any]:
    """Return a ``DATABASES`` entry for a DSN, with the engine of django-async-backend."""
    return atlas.postgres.database(dsn, **{"ENGINE": ENGINE, **overrides})


def create(dsn: str) -> dict[str, dict[str, Any]]:
    """Create the databases on a server, and return the setting ``DATABASES`` for them."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in NAMES.values():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            create_extensions(make_conninfo(dsn, dbname=name))
    found = {alias: database(make_conninfo(dsn, dbname=name)) for alias, name in NAMES.items()}
    # The default database once more, with a pool: for the event loop, and for nothing else.
    return {**found, "pooled": pooled(found["default"])}


def create_extensions(dsn: str) -> None:
    """Create those of ``EXTENSIONS`` that the server has, before Django asks for their types."""
    query = "SELECT name FROM pg_available_extensions WHERE name = ANY(%s)"
    with psycopg.connect(dsn, autocommit=True) as connection:
        for (name,) in connection.execute(query, [EXTENSIONS]).fetchall():
            connection.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(name)))


def pooled(database: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a database with a pool."""
    pool = {"min_size": 1, "max_size": 4, "timeout": 5}
    return {**database, "OPTIONS": {**database.get("OPTIONS", {}), "pool": pool}}


def drop(dsn: str) -> None:
    """Drop the databases, even if clients are still connected to them."""
    connections.close_all()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in NAMES.values():
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
