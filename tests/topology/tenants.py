"""Tenants in schemas of one database, or in databases of their own, each with the same tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from django.db import connection, connections
from psycopg.conninfo import make_conninfo

from tests.library.models import Account
from turbo_orm import async_atomic, async_connection, run_sync

TENANTS = ["ada", "bo", "cy", "di"]
# What is seen without a tenant.
PUBLIC = "public"

#: The tenant of the running task, by which a router, or an engine, goes.
tenant: ContextVar[str] = ContextVar("tenant", default=PUBLIC)


@contextmanager
def schemas() -> Iterator[None]:
    """Have a schema for each tenant, with an account that bears its name."""
    with connection.cursor() as cursor:
        for name in TENANTS:
            cursor.execute(
                f"CREATE SCHEMA {name}; CREATE TABLE {name}.library_account "
                "(LIKE public.library_account INCLUDING ALL)"
            )
        for name in [PUBLIC, *TENANTS]:
            cursor.execute(
                f"INSERT INTO {name}.library_account (owner, balance) VALUES (%s, 0)", [name]
            )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {', '.join(TENANTS)} CASCADE")


def set_path(alias: str, name: str, *, is_local: bool) -> None:
    """Have a session, or the rest of a transaction, see a tenant's schema."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SET {'LOCAL ' * is_local}search_path TO {name}, public")


@asynccontextmanager
async def in_transaction(alias: str, name: str) -> AsyncIterator[None]:
    """Be a tenant in a transaction, which is what the documentation shows."""
    async with async_atomic(alias, durable=True):
        await run_sync(set_path, alias, name, is_local=True)
        yield


@asynccontextmanager
async def in_block(alias: str, name: str) -> AsyncIterator[None]:
    """Be a tenant in a session that is pinned."""
    async with async_connection(alias) as pinned:
        await pinned.connection.execute(f"SET search_path TO {name}, public")
        yield


@asynccontextmanager
async def in_task(alias: str, name: str) -> AsyncIterator[None]:
    """Be a tenant from here on, by a cursor of Django's, as in sync code."""
    await run_sync(set_path, alias, name, is_local=False)
    yield


@asynccontextmanager
async def in_none(alias: str, name: str) -> AsyncIterator[None]:
    """Be no tenant."""
    yield


def database_of(name: str) -> dict[str, Any]:
    """Return the ``DATABASES`` entry of a tenant with a database of its own."""
    found = connections.settings["default"]
    pool = {"min_size": 0, "max_size": 3, "timeout": 20}
    options = {**found["OPTIONS"], "pool": pool}
    return {**found, "NAME": f"{found['NAME']}_{name}", "OPTIONS": options}


def server() -> psycopg.Connection[Any]:
    """Connect to the server as its administrator does."""
    entry = connections.settings["default"]
    keys = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password"}
    given = {name: entry[key] for key, name in keys.items() if entry.get(key)}
    return psycopg.connect(make_conninfo(dbname=entry["NAME"], **given), autocommit=True)


def add(alias: str, name: str) -> None:
    """Have a tenant's database under an alias from now on."""
    connections.settings[alias] = database_of(name)


@contextmanager
def own_databases() -> Iterator[None]:
    """Have a database for each tenant, with an account that bears its name."""
    with server() as admin:
        for name in TENANTS:
            admin.execute(f"CREATE DATABASE {database_of(name)['NAME']}")
    try:
        for name in TENANTS:
            add(name, name)
            with connections[name].schema_editor() as editor:
                editor.create_model(Account)
            Account.objects.using(name).create(owner=name, balance=0)
            remove(name)
        yield
    finally:
        for name in TENANTS:
            remove(name)
        with server() as admin:
            for name in TENANTS:
                admin.execute(f"DROP DATABASE {database_of(name)['NAME']} WITH (FORCE)")


def remove(alias: str) -> None:
    """Have a database no more under an alias."""
    if connections.settings.pop(alias, None) and hasattr(connections._connections, alias):
        connections[alias].close()
        connections[alias].close_pool()
        del connections[alias]


class TenantRouter:
    """Sends all that the running task asks to its tenant's database."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return tenant.get()

    db_for_write = db_for_read
