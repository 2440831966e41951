"""The drivers reading lists: psycopg and asyncpg, by the SQL that Django writes.

They return tuples and records whatever the shape, and leave JSON as text.
"""

import json
from typing import Any

from django.db.models import JSONField, Model

from benches import names
from benches.contenders import drivers
from benches.lists.contenders.reader import Query, Reader
from benches.lists.shape import Shape


class Driver(Reader):
    """A connection without an ORM."""

    def statement(self, model: type[Model], shape: Shape, rows: int) -> str:
        """Return the SQL that Django would execute."""
        sql, params = shape.queryset(model.threaded)[:rows].query.sql_with_params()
        assert not params
        return sql

    def tuples(
        self, model: type[Model], shape: Shape, results: list[Any]
    ) -> list[tuple[Any, ...]]:
        fields = model._meta.concrete_fields
        jsons = {place for place, field in enumerate(fields) if isinstance(field, JSONField)}
        return [
            tuple(
                json.loads(value) if place in jsons else value for place, value in enumerate(row)
            )
            for row in results
        ]


class Psycopg(Driver, drivers.Psycopg):
    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        sql = self.statement(model, shape, rows)

        async def fetch() -> list[Any]:
            cursor = await self.connection.execute(sql)
            return await cursor.fetchall()

        return fetch


class Received(Psycopg):
    """What every contender over psycopg does at least: the rows are sent, and in memory."""

    name = names.PSYCOPG_RECEIVED

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        sql = self.statement(model, shape, rows)
        return lambda: self.connection.execute(sql)

    def read(self, model: type[Model], shape: Shape, rows: int) -> Query:
        return super().query(model, shape, rows)


RECEIVED = Received()


class Asyncpg(Driver, drivers.Asyncpg):
    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        sql = self.statement(model, shape, rows)
        return lambda: self.connection.fetch(sql)
