"""Direct execution: a statement goes to libpq without a wrapper, a cursor or the bridge.

``execute()`` does so where nothing would be missed of these. Whatever logs, changes or refuses a
statement, or has to be done before it (execute wrappers, query log, health check, the first
connection), is Django's cursor's, on the bridge: the cursor path.
``TURBO_ORM["DIRECT_EXECUTION"]`` switches direct execution off.
"""

from __future__ import annotations

from asyncio import current_task
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.backends.postgresql.base import Cursor
from psycopg.pq import ExecStatus, TransactionStatus

from turbo_orm import bridge, conf
from turbo_orm._core import Parameters
from turbo_orm.backend import instrumentation, n_plus_one, sync_connections, writes
from turbo_orm.backend.task_connections import async_connections, in_context
from turbo_orm.bridge import installation
from turbo_orm.driver import durations, multiplexing
from turbo_orm.driver.connection import AsyncConnection
from turbo_orm.driver.pool import Pool, loop_pools
from turbo_orm.execution.executable import ByCursor, Executable
from turbo_orm.execution.pipelines import in_block, on_shared_connection
from turbo_orm.execution.results import POSITION, WANTED, first, is_as_if_alone

if TYPE_CHECKING:
    from turbo_orm.execution.arriving_rows import ArrivingRows

_FATAL_ERROR = ExecStatus.FATAL_ERROR
_IDLE = TransactionStatus.IDLE

#: What ``TURBO_ORM["DIRECT_EXECUTION"]``, ``["PREPARE"]`` and ``["MULTIPLEX"]`` say.
is_enabled = True
prepares = True
multiplexes = False


class Source(Protocol):
    """What has connections for statements: a task's wrapper, or a pool."""

    wrap_database_errors: Any
    #: The block of ``async_pipeline()`` that the running code is in.
    pipeline: Any

    def acquire_nowait(self) -> AsyncConnection | None:
        """Return a connection to which a statement can be sent, or ``None``."""
        ...

    async def acquire(self) -> AsyncConnection | None:
        """Wait for one, if there may be one in time."""
        ...

    def release(self, driver: AsyncConnection) -> None:
        """Take a connection back, in whatever state it is."""
        ...


async def execute(
    using: str, statement: Executable, arriving: ArrivingRows | None = None
) -> tuple[Any, Any]:
    """Execute a statement on the running task's connection.

    Return its ``PGresult``, of rows or of a command, and the driver's connection or cursor that
    received it, whose loaders read it. ``arriving`` may receive the rows in chunks before.
    Exceptions are Django's.
    """
    source = _source(using)
    if source is not None:
        try:
            multiplexer = source.multiplexer if multiplexes and type(source) is Pool else None
            if multiplexer is not None:
                found = await on_shared_connection(multiplexer, statement)
                if found is not None:
                    return found
            if source.pipeline is None:
                driver = source.acquire_nowait() or await source.acquire()
            elif (found := await in_block(source.pipeline, statement, prepares)) is not None:
                return found
            else:
                driver = None
            if driver is not None:
                try:
                    if not n_plus_one.is_off:
                        n_plus_one.count_fetch()
                    opening = b"" if driver._autocommit else driver.opening()
                    # Other users of the connection wait meanwhile.
                    driver.lock.take()
                    try:
                        parameters = name = None
                        began = durations.waited() if multiplexer is not None else 0.0
                        # Before it sends any, EXECUTE has the server collect all rows.
                        is_collected = bool(opening) and arriving is not None
                        if prepares and not is_collected and not driver.prepared.is_off:
                            parameters = statement.parameters(driver)
                            name = parameters and driver.prepared.name(statement, parameters)
                        if name is None:
                            results = await _with_literals(
                                driver, statement, opening, parameters, arriving
                            )
                        elif opening:
                            query = opening + statement.execute_sql(name, driver)
                            results = await driver.exchange(query)
                        else:
                            results = await driver.exchange(b"", name, parameters, arriving)
                        if name and (not results or results[-1].status not in WANTED):
                            results = await _again(driver, statement, opening, results, arriving)
                        if multiplexer is not None and parameters is not None:
                            executed = statement.statement
                            executed.seconds = durations.average(
                                executed.seconds,
                                durations.waited() - began,
                                _rows(results, arriving),
                            )
                    finally:
                        driver.lock.release()
                    if opening and not is_as_if_alone(results):
                        await driver.rollback()
                    elif len(results) == 1 and results[0].status in WANTED:
                        return results[0], driver
                    else:
                        return first(results, driver), driver
                finally:
                    if multiplexer is None or not multiplexer.adopt(driver, statement):
                        source.release(driver)
        except psycopg.Error:
            with source.wrap_database_errors:
                raise
        finally:
            if writes.watched:
                writes.note_statement(using, statement.sql)
    return await bridge.run(execute_by_cursor, using, statement)


async def execute_together(
    using: str, statements: Sequence[Executable]
) -> list[tuple[Any, Any]] | None:
    """Execute statements by one message, and return for each what ``execute()`` does.

    They only read, or are executed in a transaction: what is sent together is undone together.
    Return ``None`` where each has to be executed by itself: where that is the cursor's, or one of
    them has failed, before which no transaction had begun, by what may not be its error alone.
    """
    source = _source(using)
    if source is None:
        return None
    try:
        driver = source.acquire_nowait() or await source.acquire()
        if driver is None:
            return None
        try:
            opening = b"" if driver._autocommit else driver.opening()
            is_in_transaction = not opening and driver.pgconn.transaction_status != _IDLE
            driver.lock.take()
            try:
                given = [_parameters(driver, each) for each in statements]
                texts = [
                    each.render(driver) if name is None else each.execute_sql(name, driver)
                    for each, (_, name) in zip(statements, given, strict=True)
                ]
                # The line break ends a comment of raw SQL.
                results = await driver.exchange(opening + b"\n;".join(texts))
                wanted = results[1:] if opening else results
                has_all = len(wanted) == len(texts) and wanted[-1].status in WANTED
                if has_all:
                    await _count(driver, statements, given, wanted)
            finally:
                driver.lock.release()
            if has_all:
                return [(each, driver) for each in wanted]
            is_in_doubt = _is_in_doubt(driver, statements, given, wanted)
            if is_in_transaction or not is_in_doubt:
                first(wanted[-1:], driver)
            elif opening:
                await driver.rollback()
            return None
        finally:
            source.release(driver)
    except psycopg.Error:
        with source.wrap_database_errors:
            raise
    finally:
        if writes.watched:
            for each in statements:
                writes.note_statement(using, each.sql)


def driver_of(using: str) -> AsyncConnection | None:
    """Return the connection to which ``execute_together()`` sends statements in a transaction.

    Return ``None`` where each has to be executed by itself.
    """
    source = _source(using)
    driver = None if source is None else source.acquire_nowait()
    if source is not None and driver is not None:
        source.release(driver)
    return driver


def _parameters(
    driver: AsyncConnection, statement: Executable
) -> tuple[Parameters | None, bytes | None]:
    """Return what a statement can be prepared with, and its name if it is."""
    if not prepares or driver.prepared.is_off:
        return None, None
    parameters = statement.parameters(driver)
    return parameters, parameters and driver.prepared.name(statement, parameters)


def _is_in_doubt(
    driver: AsyncConnection,
    statements: Sequence[Executable],
    given: Sequence[tuple[Parameters | None, bytes | None]],
    results: list[Any],
) -> bool:
    """Return whether the statement that has failed may not fail by itself, or otherwise.

    One that was prepared, and is stale by now, is prepared anew.
    """
    failed = len(results) - 1
    if not 0 <= failed < len(given) or results[-1].status != _FATAL_ERROR:
        return True
    _, name = given[failed]
    if name is not None and driver.prepared.is_refused(statements[failed].statement, results):
        return True
    # That says where it stands in what was sent.
    return results[-1].error_field(POSITION) is not None


async def _count(
    driver: AsyncConnection,
    statements: Sequence[Executable],
    given: Sequence[tuple[Parameters | None, bytes | None]],
    results: Sequence[Any],
) -> None:
    """Count executions with literals, and prepare what was executed often enough."""
    are_due = False
    for statement, (parameters, name), result in zip(statements, given, results, strict=True):
        if parameters is not None and name is None:
            are_due |= driver.prepared.count(statement, parameters, result)
    if are_due:
        await driver.prepared.prepare(driver)


async def _with_literals(
    driver: AsyncConnection,
    statement: Executable,
    opening: bytes,
    parameters: Parameters | None,
    arriving: ArrivingRows | None,
) -> list[Any]:
    """Send a statement behind an opening, and return the results of both.

    If it can be prepared it is, once it was executed often enough.
    """
    results = await driver.exchange(opening + statement.render(driver), chunks=arriving)
    if (
        parameters is not None
        and results
        and results[-1].status in WANTED
        and driver.prepared.count(statement, parameters, results[-1])
    ):
        await driver.prepared.prepare(driver)
    return results


async def _again(
    driver: AsyncConnection,
    statement: Executable,
    opening: bytes,
    results: list[Any],
    arriving: ArrivingRows | None,
) -> list[Any]:
    """Send a prepared statement that has failed once more with literals, if these may not fail."""
    if not driver.prepared.is_refused(statement.statement, results):
        return results
    if opening:
        await driver.exchange(b"ROLLBACK")
    elif driver.pgconn.transaction_status != _IDLE:
        # The transaction is aborted. After it, the statement is prepared anew.
        return results
    if arriving is not None:
        arriving.clear()
    return await driver.exchange(opening + statement.render(driver), chunks=arriving)


def _rows(results: list[Any], arriving: ArrivingRows | None) -> int:
    rows: int = results[-1].ntuples if results else 0
    return rows if arriving is None else rows + arriving.rows


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
        source: Source = connection
        if connection.connection is not None and connection.owner is current_task():
            return source
        if connection.pipeline is not None and connection.pipeline.is_around():
            return source
        if not connection.is_negligible:
            return None
    pool = loop_pools().get(using)
    return pool if pool is not None and pool.serves_statements() else None


def execute_by_cursor(using: str, statement: ByCursor) -> tuple[Any, Any]:
    """Do what ``execute()`` does, by Django's cursor. Runs on the bridge."""
    with connections[using].cursor() as cursor:
        return _executed(cursor, cursor.cursor, statement)


def _executed(cursor: Any, driver: Any, statement: ByCursor) -> tuple[Any, Any]:
    """Execute a statement by Django's cursor over the driver's."""
    cursor.execute(statement.sql, statement.params)
    pgresult = driver.pgresult
    if pgresult.status not in WANTED:
        cursor.fetchone()
    # On the bridge it is a BridgedCursor, in a thread psycopg's own. Django registers the
    # loader of timestamps on it where the connection was opened in another time zone.
    return pgresult, getattr(driver, "_cursor", driver)


def execute_sync(
    using: str, statement: Executable, arriving: ArrivingRows | None = None
) -> tuple[Any, Any] | None:
    """Do what ``execute()`` does on the sync connection, by Django's cursor.

    Rows arrive as a whole. Return ``None`` without having executed anything where the result could
    not be read.
    """
    connection = sync_connections.readable(using)
    if connection is None:
        return None
    with connection.cursor() as cursor:
        driver = getattr(cursor, "cursor", None)
        return _executed(cursor, driver, statement) if type(driver) is Cursor else None


def configure() -> None:
    """Take over the settings."""
    global is_enabled, multiplexes, prepares
    is_enabled = conf.get("DIRECT_EXECUTION")
    prepares = conf.get("PREPARE")
    multiplexing.wanted = conf.get("MULTIPLEX") if prepares else 0
    multiplexes = multiplexing.wanted > 0


def follow_setting(*, setting: str, **kwargs: Any) -> None:
    """Take over the settings when they change."""
    if setting == conf.NAME:
        configure()
