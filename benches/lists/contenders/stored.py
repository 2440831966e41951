"""The contenders that read a stored result: Django, psycopg, and turbo-orm.

Each query is executed once, on Django's sync connection. Its ``PGresult`` is then read repeatedly,
by the same code that reads it in a whole query.
"""

from typing import Any

from django.db.models import Model
from django.db.models.sql.constants import CURSOR, GET_ITERATOR_CHUNK_SIZE

from benches import names
from benches.lists.contenders.drivers import Driver
from benches.lists.contenders.reader import Query, Reader
from benches.lists.shape import Shape
from turbo_orm.execution.evaluation import compiler_for
from turbo_orm.execution.fetching import SLICE
from turbo_orm.hydration.columns import result_columns
from turbo_orm.hydration.hydrator import Hydrator, known_related_objects
from turbo_orm.hydration.row_layout import Layout


class StoredPsycopg(Driver):
    """psycopg's own tuples, under Django's adapters."""

    name = names.PSYCOPG
    is_async = False
    source = "stored"

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        queryset: Any = shape.queryset(model.threaded)[:rows]
        cursor = queryset.query.get_compiler(queryset.db).execute_sql(CURSOR).cursor

        def fetch() -> list[Any]:
            cursor.scroll(0, "absolute")
            return cursor.fetchall()

        return fetch


class StoredDjango(Reader):
    """Django's iterables over psycopg's tuples, which a cursor fetches a hundred at a time."""

    name = names.DJANGO
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


class StoredTurbo(Reader):
    """turbo-orm's hydrator, constructed for each list, which it makes slice by slice."""

    name = names.TURBO
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
