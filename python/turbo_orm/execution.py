"""Where a statement meets a connection, and its result meets the hydrator.

The same code serves Django's sync connections and, on the bridge, the async ones: the cursor is
Django's in both cases, so query log, execute wrappers and error translation are Django's too.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

from django.db.models import QuerySet
from django.db.models.sql.constants import CURSOR
from psycopg import sql

from turbo_orm import bridge
from turbo_orm.hydration import Hydrator

# Rows hydrated before the event loop gets a turn. 1,000 rows of twelve columns take about 3 ms.
SLICE = 1000


def fetch_all(queryset: QuerySet[Any, Any], compiler: Any) -> list[Any]:
    """Execute a compiled query and return its rows as the objects that the queryset yields."""
    objects: list[Any] = []
    for chunk in _chunks(queryset, compiler, compiler.execute_sql(CURSOR), SLICE):
        objects += chunk
    return objects


def stream(
    queryset: QuerySet[Any, Any], compiler: Any, chunked_fetch: bool, chunk_size: int
) -> Generator[list[Any]]:
    """Execute a compiled query and yield its objects in lists of ``chunk_size``.

    With ``chunked_fetch`` the rows are fetched from a cursor on the server, a list at a time.
    """
    cursor = compiler.execute_sql(CURSOR, chunked_fetch=chunked_fetch, chunk_size=chunk_size)
    if cursor is not None and getattr(_driver_cursor(cursor), "name", None):
        return _server_side_chunks(queryset, compiler, cursor, chunk_size)
    return _chunks(queryset, compiler, cursor, chunk_size)


def _chunks(
    queryset: QuerySet[Any, Any], compiler: Any, cursor: Any, size: int
) -> Generator[list[Any]]:
    """Hydrate what a cursor has received already. There is no cursor if nothing can match."""
    if cursor is None:
        return
    with compiler.connection.wrap_database_errors, closing(cursor):
        driver_cursor = _driver_cursor(cursor)
        pgresult = getattr(driver_cursor, "pgresult", None)
        if pgresult is None or not Hydrator.reads_pgresults():
            hydrator = Hydrator.for_rows(queryset, compiler)
            while rows := cursor.fetchmany(size):
                yield hydrator.rows(list(rows))
            return
        hydrator = Hydrator.for_result(queryset, compiler, driver_cursor, pgresult)
        for start in range(0, pgresult.ntuples, size):
            if start:
                bridge.breathe()
            yield hydrator.result(pgresult, start, min(start + size, pgresult.ntuples))


def _server_side_chunks(
    queryset: QuerySet[Any, Any], compiler: Any, cursor: Any, size: int
) -> Generator[list[Any]]:
    """Fetch from a cursor on the server by a cursor of our own, whose results stay unread.

    psycopg's ``ServerCursor.fetchmany()`` makes tuples of all that it fetches.
    """
    hydrator = None
    with compiler.connection.wrap_database_errors, closing(cursor):
        driver_cursor = _driver_cursor(cursor)
        fetch = sql.SQL("FETCH FORWARD {} FROM {}").format(
            sql.Literal(size), sql.Identifier(driver_cursor.name)
        )
        while True:
            with closing(compiler.connection.create_cursor()) as fetcher:
                fetcher.execute(fetch)
                pgresult = fetcher.pgresult
                if hydrator is None:
                    hydrator = Hydrator.for_result(queryset, compiler, driver_cursor, pgresult)
                chunk = hydrator.result(pgresult, 0, pgresult.ntuples)
            if chunk:
                yield chunk
            if len(chunk) < size:
                return


def _driver_cursor(cursor: Any) -> Any:
    """Return the driver's cursor that Django's cursor wrappers hold."""
    return getattr(cursor, "cursor", cursor)
