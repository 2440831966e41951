"""The contenders that write many rows by one call.

*Django on the bridge* is turbo-orm without native arrays. *COPY* is psycopg's: it copies tuples,
and returns no keys.
"""

from typing import Any

import psycopg
import pytest
from django.db import connections
from django.db.models import QuerySet
from django_async_backend.db import async_connections
from psycopg.types.json import Jsonb

from benches import names
from benches.contenders import django
from benches.harness.contender import Contender
from turbo_orm import bridge
from turbo_orm.backend import compiler


class Writer(Contender):
    """A way to write rows."""

    def rows(self, instances: list[Any]) -> Any:
        """Return instances in the form that ``create()`` expects, which is not timed."""
        return instances

    def create(self, rows: Any) -> Any:
        """Insert rows."""
        raise NotImplementedError

    def update(self, instances: list[Any], fields: list[str]) -> Any:
        """Update some fields of instances, and return how many were updated."""
        raise NotImplementedError


class Copy(Writer):
    name = names.COPY

    async def open(self) -> None:
        await bridge.run(lambda: connections["default"].ensure_connection())

    def rows(self, instances: list[Any]) -> tuple[str, list[tuple[Any, ...]]]:
        options = type(instances[0])._meta
        fields = [field for field in options.concrete_fields if not field.primary_key]
        columns = ", ".join(field.column for field in fields)
        rows = [
            tuple([_adapted(getattr(instance, field.attname)) for field in fields])
            for instance in instances
        ]
        return f"COPY {options.db_table} ({columns}) FROM STDIN", rows

    async def create(self, rows: tuple[str, list[tuple[Any, ...]]]) -> None:
        statement, values = rows
        driver: psycopg.AsyncConnection[Any] = async_connections["default"].connection
        async with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in values:
                await copy.write_row(row)


def _adapted(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) else value


class DjangoSync(Writer, django.DjangoSync):
    def create(self, rows: list[Any]) -> None:
        self.objects(type(rows[0])).bulk_create(rows)

    def update(self, instances: list[Any], fields: list[str]) -> int:
        return self.objects(type(instances[0])).bulk_update(instances, fields)


class DjangoAsync(Writer, django.DjangoAsync):
    async def create(self, rows: list[Any]) -> None:
        await self.objects(type(rows[0])).abulk_create(rows)

    async def update(self, instances: list[Any], fields: list[str]) -> int:
        return await self.objects(type(instances[0])).abulk_update(instances, fields)


class DjangoOnTheBridge(Writer):
    name = names.DJANGO_ON_THE_BRIDGE

    async def create(self, rows: list[Any]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compiler.InsertCompiler, "_column_parameters", lambda self: None)
            await bridge.run(QuerySet(type(rows[0])).bulk_create, rows)


class Turbo(Writer, django.Turbo):
    async def create(self, rows: list[Any]) -> None:
        await self.objects(type(rows[0])).abulk_create(rows)

    async def update(self, instances: list[Any], fields: list[str]) -> int:
        return await self.objects(type(instances[0])).abulk_update(instances, fields)
