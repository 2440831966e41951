"""The straight way of a statement to the wire: no wrapper, no cursor, no bridge.

``execute()`` takes it where nobody would notice. Whatever is to be seen, changed, refused or done
before a statement (execute wrappers, logs, health checks, the first connection, a BEGIN) is
Django's business, and takes the ordinary way, by Django's cursor on the bridge.
"""

from __future__ import annotations

from asyncio import current_task
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Protocol

import psycopg
from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.utils import DatabaseErrorWrapper
from django_async_backend.db.backends.base.base import RAN_DB_VERSION_CHECK
from psycopg import generators
from psycopg.pq import ExecStatus

from turbo_orm import bridge
from turbo_orm.driver import AsyncConnection
from turbo_orm.pool import Pool, loop_pools
from turbo_orm.tasks import async_connections, in_context

_ensure_connection = BaseDatabaseWrapper.ensure_connection
# It has no wrapper to tell of errors that have occurred.
_database_errors: Any = DatabaseErrorWrapper(SimpleNamespace(Database=psycopg))
_WANTED = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})


class Statement(Protocol):
    """A statement, as Django's cursor takes it and as the server does."""

    @property
    def sql(self) -> str:
        """The statement, with ``%s`` for each value."""
        ...

    @property
    def params(self) -> Sequence[Any]:
        """The values."""
        ...

    def render(self, connection: psycopg.AsyncConnection[Any]) -> bytes:
        """Return the statement with literals for the values, as psycopg's client cursor would."""
        ...


async def execute(using: str, statement: Statement) -> tuple[Any, Any]:
    """Execute a statement on the running task's connection.

    Return its ``PGresult``, of rows or of a command, and what psycopg adapts its values by: a
    connection or a cursor. Exceptions are Django's.
    """
    if _is_plain() and using not in async_connections.shared:
        connection = in_context.get().get(using)
        if (
            connection is not None
            and connection.connection is not None
            and connection._task is current_task()
        ):
            driver = connection.straight()
            if driver is not None:
                try:
                    return await _send(driver, statement), driver
                except psycopg.Error:
                    with connection.wrap_database_errors:
                        raise
                finally:
                    connection.take_back(driver)
        elif (pool := _lender(using, connection)) is not None:
            executed = await _execute_on_any(pool, statement)
            if executed is not None:
                return executed
    return await bridge.run(_execute_ordinarily, using, statement)


def _is_plain() -> bool:
    """Return whether Django is set up, logs no statement, and no test forbids any."""
    return (
        not settings.DEBUG
        and apps.ready
        and BaseDatabaseWrapper.ensure_connection is _ensure_connection
    )


def _lender(using: str, connection: Any) -> Pool | None:
    """Return the pool that the running task can borrow from for just a statement.

    ``connection`` is the one that it has inherited, or that has no connection of the driver's.
    """
    if (connection is not None and not connection.is_bare) or connection_created.receivers:
        return None
    pool = loop_pools().found(using)
    if pool is None or pool.terms is None or using not in RAN_DB_VERSION_CHECK:
        return None
    wanted = pool.terms.settings_dict
    return pool if wanted["AUTOCOMMIT"] and not wanted["CONN_HEALTH_CHECKS"] else None


async def _execute_on_any(pool: Pool, statement: Statement) -> tuple[Any, Any] | None:
    """Execute a statement on a connection of a pool, unless something has to be done before."""
    with _database_errors:
        driver = pool.take() or await pool.wait()
        try:
            if pool.is_fit(driver):
                return await _send(driver, statement), driver
        finally:
            pool.put(driver)
    return None


async def _send(driver: AsyncConnection, statement: Statement) -> Any:
    """Return the result of a statement. The connection is free."""
    query = statement.render(driver)
    # What others ask of it meanwhile, waits.
    await driver.lock.acquire()
    try:
        driver.pgconn.send_query(query)
        results = await driver.wait(generators.execute(driver.pgconn))
    finally:
        driver.lock.release()
    if len(results) != 1 or results[0].status not in _WANTED:
        _raise_for(driver, results)
    return results[0]


def _raise_for(driver: AsyncConnection, results: list[Any]) -> None:
    """Raise as a cursor of psycopg's does. Do nothing if there is more than one good result."""
    cursor: Any = driver.cursor_factory(driver)
    cursor._check_results(results)
    cursor.pgresult = results[0]
    if results[0].status not in _WANTED:
        cursor._check_result_for_fetch()


def _execute_ordinarily(using: str, statement: Statement) -> tuple[Any, Any]:
    with connections[using].cursor() as cursor:
        cursor.execute(statement.sql, statement.params)
        driver: Any = cursor.cursor
        pgresult = driver.pgresult
        if pgresult.status not in _WANTED:
            cursor.fetchone()
        return pgresult, driver._cursor
