"""Where a statement meets a connection, and its result meets the hydrator.

The same code serves Django's sync connections and, on the bridge, the async ones: the cursor is
Django's in both cases, so query log, execute wrappers and error translation are Django's too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import Any

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Model, QuerySet
from django.db.models.query import RawQuerySet
from django.db.models.sql.constants import CURSOR
from psycopg import sql

from turbo_orm import bridge
from turbo_orm._core import Join, Plan
from turbo_orm.backend.content_type_cache import fill, is_missing
from turbo_orm.backend.cursors import close_if_it_exists
from turbo_orm.backend.handler import process_connection
from turbo_orm.hydration.columns import result_columns, row_columns
from turbo_orm.hydration.hydrator import MIN_PAUSE_ROWS, Hydrator
from turbo_orm.hydration.known_related_objects import (
    KnownRelatedObjects,
    known_join,
    known_related_objects,
)
from turbo_orm.hydration.plan_cache import make_plan
from turbo_orm.hydration.row_layout import Layout
from turbo_orm.query_cache.bound import BoundStatement
from turbo_orm.query_cache.compiled import CompiledStatement

type Chunks = Generator[list[Any]]

# Rows hydrated at a time, before the event loop may get a turn: of twelve columns, about 2 ms.
SLICE = 1000
# Rows of a chunk that is read in a callback of the event loop.
CHUNK = 500


def fetch_all(queryset: QuerySet[Any, Any], compiler: Any) -> list[Any]:
    """Execute a compiled query and return its rows as the objects that the queryset yields."""
    if record := getattr(compiler.connection, "record_rows", None):
        recorded: list[Any] = record(queryset, compiler)
        return recorded
    chunks = _arriving_chunks if _is_worth_streaming(compiler) else _chunks
    objects: list[Any] = []
    for chunk in chunks(queryset, compiler):
        objects += chunk
    return objects


def hydrate(
    queryset: Any,
    statement: CompiledStatement,
    pgresult: Any,
    context: Any,
    join: Join | None = None,
    run: Callable[..., Any] = bridge.run,
) -> list[Any] | Awaitable[list[Any]]:
    """Return the rows of a cached statement as the queryset's objects.

    For more than ``SLICE`` rows, where a model's own code may query, or where content types are
    not known, it is what ``run`` returns for a function with its arguments: an awaitable.
    ``context`` is the driver's connection or cursor that has received it.
    """
    rows = statement.rows = pgresult.ntuples
    known: Sequence[KnownRelatedObjects] = ()
    try:
        plan = statement.cached_plan
        if (
            plan is not None
            and rows < MIN_PAUSE_ROWS
            and plan.is_native
            and (
                not queryset._known_related_objects
                or ((join := known_join(queryset, statement.using)) and plan.plan.joins(join))
                or (known := _plain_known(queryset))
            )
            and plan.fits(context, pgresult)
        ):
            objects: list[Any] = plan.hydrate(context, pgresult, join)
            for each in known:
                each.set_on(objects)
            return objects
        hydrator = hydrator_for(statement, queryset, context, pgresult, join)
        if (
            hydrator.is_native
            and rows <= SLICE
            and not is_missing(statement.using, queryset.model)
        ):
            return hydrator.result(pgresult, 0, rows)
    except psycopg.Error:
        with process_connection(statement.using).wrap_database_errors:
            raise
    slices: list[Any] | Awaitable[list[Any]] = run(
        hydrate_slices, statement, hydrator, (pgresult,), queryset.model
    )
    return slices


def _plain_known(queryset: Any) -> Sequence[KnownRelatedObjects]:
    """Return what is to be set on the instances, if that calls no code of a project's own."""
    known = known_related_objects(queryset)
    return known if False not in [each.is_plain for each in known] else ()


def hydrate_aggregates(
    statement: CompiledStatement,
    pgresult: Any,
    context: Any,
    run: Callable[..., Any] = bridge.run,
) -> dict[str, Any] | Awaitable[dict[str, Any]]:
    """Return the row of a cached ``aggregate()``.

    Where code may query, it is what ``run`` returns for a function with its arguments: an
    awaitable.
    ``context`` is the driver's connection or cursor that has received it.
    """
    try:
        plan = statement.cached_plan
        if plan is not None and plan.is_native and plan.fits(context, pgresult):
            aggregates: dict[str, Any] = plan.hydrate(context, pgresult)[0]
            return aggregates
        hydrator = Hydrator(plan_for(statement, context, pgresult), (), context)
        if hydrator.is_native:
            return _row(statement, hydrator, pgresult)
    except psycopg.Error:
        with process_connection(statement.using).wrap_database_errors:
            raise
    row: dict[str, Any] | Awaitable[dict[str, Any]] = run(_row, statement, hydrator, pgresult)
    return row


def _row(statement: CompiledStatement, hydrator: Hydrator, pgresult: Any) -> dict[str, Any]:
    with process_connection(statement.using).wrap_database_errors:
        aggregates: dict[str, Any] = hydrator.result(pgresult, 0, 1)[0]
        return aggregates


def hydrator_for(
    statement: CompiledStatement,
    queryset: Any,
    context: Any,
    pgresult: Any,
    join: Join | None = None,
) -> Hydrator:
    """Return a hydrator for a result of a cached statement, with its cached plan if that fits.

    ``context`` is the driver's connection or cursor that has received it.
    """
    plan = plan_for(statement, context, pgresult)
    has_prefetches = bool(queryset._prefetch_related_lookups)
    return Hydrator(plan, known_related_objects(queryset), context, join, has_prefetches)


def plan_for(statement: CompiledStatement, context: Any, pgresult: Any) -> Plan:
    """Return the plan of a cached statement if it fits a result, or make another one."""
    cached = statement.cached_plan
    if cached is not None and cached.fits(context, pgresult):
        return cached.plan
    assert statement.layout is not None
    compiled_on = process_connection(statement.using)
    plan, statement.cached_plan = make_plan(statement.layout, compiled_on, context, pgresult)
    return plan


def hydrate_slices(
    statement: CompiledStatement, hydrator: Hydrator, pgresults: Sequence[Any], model: type[Model]
) -> list[Any]:
    """Hydrate all rows of results on the bridge: the event loop has its turns."""
    fill(statement.using, model)
    with process_connection(statement.using).wrap_database_errors:
        slices = chain.from_iterable(_slices(hydrator, each, SLICE) for each in pgresults)
        return list(chain.from_iterable(slices))


def stream(
    queryset: QuerySet[Any, Any], compiler: Any, chunked_fetch: bool, chunk_size: int
) -> Chunks:
    """Execute a query and yield its objects in lists of ``chunk_size``.

    ``compiler`` is Django's for the query, or a ``CachedCompiler``. With ``chunked_fetch`` the
    rows are fetched from a cursor on the server, a list at a time.
    """
    if chunked_fetch and Hydrator.reads_pgresults():
        return _server_side_chunks(queryset, compiler, chunk_size)
    return _chunks(queryset, compiler, chunk_size, chunked_fetch)


class CachedCompiler:
    """Does for a cached statement what Django's compiler does: executes it, for a cursor."""

    def __init__(self, bound: BoundStatement) -> None:
        self.bound = bound
        self.using = bound.statement.using
        self.connection: Any = connections[self.using]

    def execute_sql(self, result_type: str, chunked_fetch: bool, chunk_size: int) -> Any:
        """Return the cursor that has executed the statement: a named one if it is chunked."""
        connection = self.connection
        cursor = connection.chunked_cursor() if chunked_fetch else connection.cursor()
        try:
            cursor.execute(self.bound.sql, self.bound.params)
        except Exception:
            cursor.close()
            raise
        return cursor


def _layout(queryset: QuerySet[Any, Any], compiler: Any) -> Layout:
    if type(compiler) is not CachedCompiler:
        return Layout.of(queryset, compiler)
    layout = compiler.bound.statement.layout
    assert layout is not None
    return layout


def _chunks(
    queryset: QuerySet[Any, Any], compiler: Any, size: int = SLICE, chunked_fetch: bool = False
) -> Chunks:
    """Receive the whole result, then hydrate it slice by slice."""
    cursor = compiler.execute_sql(CURSOR, chunked_fetch=chunked_fetch, chunk_size=size)
    # Django's compiler executes nothing where nothing can match.
    if cursor is None:
        return
    with compiler.connection.wrap_database_errors, closing(cursor):
        layout = _layout(queryset, compiler)
        yield from _received(queryset, layout, compiler.connection, cursor, size)


def raw(queryset: RawQuerySet[Any]) -> Chunks:
    """Execute a raw query and yield its instances in lists."""
    query: Any = queryset.query
    connection: Any = connections[queryset.db]
    query._execute_query()
    with connection.wrap_database_errors, closing(query.cursor) as cursor:
        layout = Layout.of_raw(queryset, connection)
        yield from _received(queryset, layout, connection, cursor, SLICE)


def _received(queryset: Any, layout: Layout, connection: Any, cursor: Any, size: int) -> Chunks:
    """Hydrate what a cursor has received: its ``PGresult``, or else the row tuples it makes."""
    driver = driver_cursor(cursor)
    pgresult = getattr(driver, "pgresult", None)
    if pgresult is None or not Hydrator.reads_pgresults():
        hydrator = _new_hydrator(queryset, layout, connection)
        while rows := cursor.fetchmany(size):
            yield hydrator.rows(list(rows))
        return
    hydrator = _new_hydrator(queryset, layout, connection, driver, pgresult)
    yield from _slices(hydrator, pgresult, size)


def _new_hydrator(
    queryset: Any, layout: Layout, connection: Any, driver: Any = None, pgresult: Any = None
) -> Hydrator:
    """Return a hydrator for results like ``pgresult``, which the driver's cursor has received.

    Without a result it is for row tuples. ``connection`` is Django's.
    """
    if pgresult is None:
        columns = row_columns(layout.selected, connection)
    else:
        columns = result_columns(layout.selected, connection, driver, pgresult)
    has_prefetches = bool(queryset._prefetch_related_lookups)
    plan = layout.plan(columns)
    return Hydrator(plan, known_related_objects(queryset), stays_young=has_prefetches)


def _slices(hydrator: Hydrator, pgresult: Any, size: int) -> Chunks:
    checkpoints = bridge.Checkpoints()
    for start in range(0, pgresult.ntuples, size):
        checkpoints.maybe_yield()
        yield hydrator.result(pgresult, start, min(start + size, pgresult.ntuples))


def _is_worth_streaming(compiler: Any) -> bool:
    """Return whether a query may have more rows than fit one slice, and can be streamed."""
    query = compiler.query
    limited = query.high_mark is not None and query.high_mark - query.low_mark <= SLICE
    return (
        not limited
        and hasattr(compiler.connection, "streaming_cursor")
        and compiler.connection.can_stream
        and Hydrator.reads_pgresults()
    )


def _arriving_chunks(queryset: QuerySet[Any, Any], compiler: Any) -> Chunks:
    """Hydrate each slice while the next one arrives."""
    try:
        statement, params = compiler.as_sql()
    except EmptyResultSet:
        return
    cursor = compiler.connection.streaming_cursor(SLICE)
    with compiler.connection.wrap_database_errors, closing(cursor):
        cursor.execute(statement, params)
        driver = driver_cursor(cursor)
        pgresults = driver.pgresults()
        if (first := next(pgresults, None)) is None:
            return
        layout = Layout.of(queryset, compiler)
        hydrator = _new_hydrator(queryset, layout, compiler.connection, driver, first)
        arriving: Iterator[Any] = chain([first], pgresults)
        if not hydrator.is_native:
            # A model's own code may query, which the connection cannot answer before the end.
            arriving = iter(list(arriving))
        checkpoints = bridge.Checkpoints()
        for pgresult in arriving:
            checkpoints.maybe_yield()
            yield hydrator.result(pgresult, 0, pgresult.ntuples)


def _server_side_chunks(queryset: QuerySet[Any, Any], compiler: Any, size: int) -> Chunks:
    hydrator = None
    with closing(server_side_results(compiler, size)) as results:
        for driver, pgresult in results:
            with compiler.connection.wrap_database_errors:
                if hydrator is None:
                    hydrator = _hydrator_of_chunks(queryset, compiler, driver, pgresult)
                chunk = hydrator.result(pgresult, 0, pgresult.ntuples)
            yield chunk


def server_side_results(compiler: Any, size: int) -> Generator[tuple[Any, Any]]:
    """Fetch from a cursor on the server by a cursor of our own, whose results stay unread.

    Yield the driver's cursor and a ``PGresult`` of ``size`` rows, or less that are the last.
    psycopg's ``ServerCursor.fetchmany()`` makes tuples of all that it fetches.
    """
    cursor, pgresult = _declare(compiler, size)
    if cursor is None:
        return
    with compiler.connection.wrap_database_errors, closing(cursor):
        driver = driver_cursor(cursor)
        another = getattr(driver, "sibling", driver.connection.cursor)
        fetch = sql.SQL("FETCH FORWARD {} FROM {}").format(
            sql.Literal(size), sql.Identifier(driver.name)
        )
        while True:
            if pgresult is None:
                with closing(another()) as fetcher:
                    pgresult = fetcher.execute(fetch).pgresult
            rows = pgresult.ntuples
            if rows:
                try:
                    yield driver, pgresult
                except GeneratorExit:
                    close_if_it_exists(driver)
                    raise
            pgresult = None
            if rows < size:
                return


def _declare(compiler: Any, size: int) -> tuple[Any, Any]:
    """Return a cursor on the server for a query, and its first rows if they have come with it.

    Without a cursor, nothing can match.
    """
    connection = compiler.connection
    is_known = type(compiler) is CachedCompiler and hasattr(connection, "can_declare")
    if not (is_known and connection.can_declare()):
        return compiler.execute_sql(CURSOR, chunked_fetch=True, chunk_size=size), None
    cursor = connection.chunked_cursor()
    try:
        connection.validate_no_broken_transaction()
        with connection.wrap_database_errors:
            statement = compiler.bound.render(connection.connection)
            return cursor, driver_cursor(cursor).declare(statement, size)
    except BaseException:
        cursor.close()
        raise


def _hydrator_of_chunks(
    queryset: QuerySet[Any, Any], compiler: Any, driver: Any, pgresult: Any
) -> Hydrator:
    if type(compiler) is not CachedCompiler:
        layout = Layout.of(queryset, compiler)
        return _new_hydrator(queryset, layout, compiler.connection, driver, pgresult)
    context = getattr(driver, "_cursor", driver)
    return hydrator_for(compiler.bound.statement, queryset, context, pgresult)


def driver_cursor(cursor: Any) -> Any:
    """Return the driver's cursor that Django's cursor wrappers hold."""
    return getattr(cursor, "cursor", cursor)
