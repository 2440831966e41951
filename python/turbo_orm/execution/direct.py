"""Direct execution: a statement goes to libpq without a wrapper, a cursor or the bridge.

``execute()`` does so where nothing would be missed of these. Whatever logs, changes or refuses a
statement, or has to be done before it (execute wrappers, query log, health check, the first
connection), is Django's cursor's, on the bridge: the cursor path.
``TURBO_ORM["DIRECT_EXECUTION"]`` switches direct execution off.
"""

from __future__ import annotations

from asyncio import current_task
from collections.abc import Sequence
from typing import Any, Protocol

import psycopg
from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.backends.postgresql.base import Cursor
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus

from turbo_orm import bridge, conf
from turbo_orm._core import Parameters
from turbo_orm.backend import instrumentation, n_plus_one, sync_connections
from turbo_orm.backend.task_connections import async_connections, in_context
from turbo_orm.bridge import installation
from turbo_orm.driver.connection import AsyncConnection
from turbo_orm.driver.pool import loop_pools
from turbo_orm.driver.prepared import Bound

_IDLE = TransactionStatus.IDLE
_POSITION = DiagnosticField.STATEMENT_POSITION
_SQLSTATE = DiagnosticField.SQLSTATE
_WANTED = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})
# The classes of errors that a prepared statement may have raised where literals would not, or with
# another message: a changed table, a text that is no value of its type. Nothing was executed.
_OF_VALUE = b"22"
_OF_PREPARED = frozenset({b"0A", b"26", b"42", _OF_VALUE})

#: What ``TURBO_ORM["DIRECT_EXECUTION"]`` and ``["PREPARE"]`` say.
is_enabled = True
prepares = True


class Executable(Bound, Protocol):
    """A statement with its parameters, for Django's cursor and for libpq."""

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

    def parameters(self, connection: psycopg.AsyncConnection[Any]) -> Parameters | None:
        """Return what it is executed with if it is prepared, ``None`` if it never is."""
        ...

    def execute_sql(self, name: bytes, connection: psycopg.AsyncConnection[Any]) -> bytes:
        """Return SQL that executes what was prepared by a name."""
        ...


class Source(Protocol):
    """What has connections for statements: a task's wrapper, or a pool."""

    wrap_database_errors: Any

    def acquire_nowait(self) -> AsyncConnection | None:
        """Return a connection to which a statement can be sent, or ``None``."""
        ...

    async def acquire(self) -> AsyncConnection | None:
        """Wait for one, if there may be one in time."""
        ...

    def release(self, driver: AsyncConnection) -> None:
        """Take a connection back, in whatever state it is."""
        ...


async def execute(using: str, statement: Executable) -> tuple[Any, Any]:
    """Execute a statement on the running task's connection.

    Return its ``PGresult``, of rows or of a command, and the driver's connection or cursor that
    received it, whose loaders read it. Exceptions are Django's.
    """
    source = _source(using)
    if source is not None:
        try:
            driver = source.acquire_nowait() or await source.acquire()
            if driver is not None:
                try:
                    if not n_plus_one.is_off:
                        n_plus_one.count_fetch()
                    opening = b"" if driver._autocommit else driver.opening()
                    # Other users of the connection wait meanwhile.
                    driver.lock.take()
                    try:
                        parameters = name = None
                        if prepares and not driver.prepared.is_off:
                            parameters = statement.parameters(driver)
                            name = parameters and driver.prepared.name(statement, parameters)
                        if name is None:
                            results = await _with_literals(driver, statement, opening, parameters)
                        elif opening:
                            query = opening + statement.execute_sql(name, driver)
                            results = await driver.exchange(query)
                        else:
                            results = await driver.exchange(b"", name, parameters)
                        if name and (not results or results[-1].status not in _WANTED):
                            results = await _again(driver, statement, opening, results)
                    finally:
                        driver.lock.release()
                    if opening and not _is_as_if_alone(results):
                        await driver.rollback()
                    elif len(results) == 1 and results[0].status in _WANTED:
                        return results[0], driver
                    else:
                        return _first(results, driver), driver
                finally:
                    source.release(driver)
        except psycopg.Error:
            with source.wrap_database_errors:
                raise
    return await bridge.run(_execute_by_cursor, using, statement)


async def _with_literals(
    driver: AsyncConnection, statement: Executable, opening: bytes, parameters: Parameters | None
) -> list[Any]:
    """Send a statement behind an opening, and return the results of both.

    If it can be prepared it is, once it was executed often enough.
    """
    results = await driver.exchange(opening + statement.render(driver))
    if (
        parameters is not None
        and results
        and results[-1].status in _WANTED
        and driver.prepared.count(statement, parameters, results[-1])
    ):
        await driver.prepared.prepare(driver)
    return results


async def _again(
    driver: AsyncConnection,
    statement: Executable,
    opening: bytes,
    results: list[Any],
) -> list[Any]:
    """Send a prepared statement that has failed once more with literals, if these may not fail."""
    state = results[-1].error_field(_SQLSTATE) or b"" if results else b""
    if state[:2] not in _OF_PREPARED:
        return results
    prepared = driver.prepared
    if state[:2] == b"26":
        # The session was reset.
        prepared.forget()
    elif state[:2] != _OF_VALUE:
        prepared.discard(statement.statement)
    if opening:
        await driver.exchange(b"ROLLBACK")
    elif driver.pgconn.transaction_status != _IDLE:
        # The transaction is aborted. After it, the statement is prepared anew.
        return results
    return await driver.exchange(opening + statement.render(driver))


def is_logged(using: str) -> bool:
    """Return whether the statements of the running task are logged."""
    if settings.DEBUG or not installation.is_installed or using in async_connections.shared:
        return True
    connection = in_context.get().get(using)
    return connection is not None and connection.force_debug_cursor


def _source(using: str) -> Source | None:
    """Return what has a connection for the running task, if nothing watches its statements."""
    if (
        settings.DEBUG
        or not is_enabled
        # Empty while no method is replaced, so this is no call.
        or (instrumentation.found != "" and instrumentation.replaced_method())
        or not apps.ready
        or not installation.is_installed
        or using in async_connections.shared
    ):
        return None
    connection = in_context.get().get(using)
    if connection is not None:
        if connection.connection is not None and connection.owner is current_task():
            source: Source = connection
            return source
        if not connection.is_negligible:
            return None
    pool = loop_pools().get(using)
    return pool if pool is not None and pool.serves_statements() else None


def _is_as_if_alone(results: list[Any]) -> bool:
    """Remove the result of BEGIN, and return whether the statement's is as if it was sent alone.

    It is not where BEGIN has failed, or the server could not even read both; and an error that
    says where in the statement it is counts from the BEGIN. Such an error is found before anything
    is executed, so the statement may be sent again.
    """
    del results[0]
    return bool(results) and results[-1].error_field(_POSITION) is None


def _first(results: list[Any], driver: AsyncConnection) -> Any:
    """Return the first of several results, or raise for what is none, as psycopg's cursor does."""
    cursor: Any = driver.cursor_factory(driver)
    cursor._check_results(results)
    cursor.pgresult = results[0]
    return (
        cursor.pgresult if cursor.pgresult.status in _WANTED else cursor._check_result_for_fetch()
    )


def _execute_by_cursor(using: str, statement: Executable) -> tuple[Any, Any]:
    with connections[using].cursor() as cursor:
        return _executed(cursor, cursor.cursor, statement)


def _executed(cursor: Any, driver: Any, statement: Executable) -> tuple[Any, Any]:
    """Execute a statement by Django's cursor over the driver's."""
    cursor.execute(statement.sql, statement.params)
    pgresult = driver.pgresult
    if pgresult.status not in _WANTED:
        cursor.fetchone()
    # On the bridge it is a BridgedCursor, in a thread psycopg's own. Django registers the
    # loader of timestamps on it where the connection was opened in another time zone.
    return pgresult, getattr(driver, "_cursor", driver)


def execute_sync(using: str, statement: Executable) -> tuple[Any, Any] | None:
    """Do what ``execute()`` does on the sync connection, by Django's cursor.

    Return ``None`` without having executed anything where the result could not be read.
    """
    connection = sync_connections.readable(using)
    if connection is None:
        return None
    with connection.cursor() as cursor:
        driver = getattr(cursor, "cursor", None)
        return _executed(cursor, driver, statement) if type(driver) is Cursor else None


def configure() -> None:
    """Take over the settings."""
    global is_enabled, prepares
    is_enabled = conf.get("DIRECT_EXECUTION")
    prepares = conf.get("PREPARE")


def follow_setting(*, setting: str, **kwargs: Any) -> None:
    """Take over the settings when they change."""
    if setting == conf.NAME:
        configure()
