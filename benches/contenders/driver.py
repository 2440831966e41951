"""The contenders that are drivers: psycopg and asyncpg, asked in the SQL that Django writes.

They yield tuples and records whatever the shape, and leave JSON as text.
"""

import json
from typing import Any

import asyncpg
import psycopg
from django.db.models import JSONField, Model
from django_async_backend.db import async_connections

from benches.address import address
from benches.contenders.contender import Contender, Query
from benches.shape import Shape


class Driver(Contender):
    """A connection, and nothing above it."""

    def statement(self, model: type[Model], shape: Shape, rows: int) -> str:
        """Return what Django would execute."""
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


class Psycopg(Driver):
    """psycopg as Django configures it: its adapters, its cursor, its time zone."""

    name = "psycopg"

    async def open(self) -> None:
        parameters = async_connections["default"].get_connection_params()
        self.connection = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
        await self.connection.execute("SET TIME ZONE 'UTC'")

    async def close(self) -> None:
        await self.connection.close()

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        sql = self.statement(model, shape, rows)

        async def fetch() -> list[Any]:
            cursor = await self.connection.execute(sql)
            return await cursor.fetchall()

        return fetch


class Asyncpg(Driver):
    """asyncpg as it comes: prepared statements, binary results."""

    name = "asyncpg"

    async def open(self) -> None:
        self.connection = await asyncpg.connect(**address())

    async def close(self) -> None:
        await self.connection.close()

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        sql = self.statement(model, shape, rows)
        return lambda: self.connection.fetch(sql)
