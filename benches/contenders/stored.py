"""The contenders where a result has arrived already: Django, psycopg, and turbo-orm.

Each query is executed once, on Django's sync connection; its ``PGresult`` is then read over and
over, by the same code that reads it in a whole query.
"""

from typing import Any

from django.db.models import Model
from django.db.models.sql.constants import CURSOR, GET_ITERATOR_CHUNK_SIZE

from benches.contenders.contender import Contender, Query
from benches.contenders.driver import Driver
from benches.shape import Shape
from turbo_orm.execution.evaluation import compiler_for
from turbo_orm.execution.fetching import SLICE
from turbo_orm.hydration.columns import result_columns
from turbo_orm.hydration.hydrator import Hydrator, known_related_objects
from turbo_orm.hydration.row_layout import Layout


class StoredPsycopg(Driver):
    """psycopg's own tuples, under Django's adapters."""

    name = "psycopg"
    is_async = False
    source = "stored"

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        queryset: Any = shape.queryset(model.threaded)[:rows]
        cursor = queryset.query.get_compiler(queryset.db).execute_sql(CURSOR).cursor

        def fetch() -> list[Any]:
            cursor.scroll(0, "absolute")
            return cursor.fetchall()

        return fetch


class StoredDjango(Contender):
    """Django's iterables over psycopg's tuples, which a cursor hands over a hundred at a time."""

    name = "Django"
    is_async = False
    source = "stored"

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        queryset: Any = shape.queryset(model.threaded)[:rows]
        compiler = queryset.query.get_compiler(queryset.db)
        cursor = compiler.execute_sql(CURSOR)

        def executed(*args: Any, **kwargs: Any) -> list[Any]:
            cursor.cursor.scroll(0, "absolute")
            return list(iter(lambda: cursor.fetchmany(GET_ITERATOR_CHUNK_SIZE), []))

        compiler.execute_sql = executed
        queryset.query.get_compiler = lambda *args, **kwargs: compiler
        return lambda: list(queryset.all())


class StoredTurbo(Contender):
    """turbo-orm's hydrator, made anew each time, slice after slice."""

    name = "turbo-orm"
    is_async = False
    source = "stored"

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        queryset: Any = shape.queryset(model.objects)[:rows]
        compiler = compiler_for(queryset)
        cursor = compiler.execute_sql(CURSOR).cursor
        pgresult = cursor.pgresult
        assert Hydrator.reads_pgresults()

        def hydrate() -> list[Any]:
            layout = Layout.of(queryset, compiler)
            columns = result_columns(layout.selected, compiler.connection, cursor, pgresult)
            hydrator = Hydrator(layout.plan(columns), known_related_objects(queryset))
            objects: list[Any] = []
            for start in range(0, pgresult.ntuples, SLICE):
                objects += hydrator.result(pgresult, start, min(start + SLICE, pgresult.ntuples))
            return objects

        return hydrate
