"""Bulk inserts and updates of a narrow table and a wide one, by those who might do them.

Each round writes fresh instances to a table that is in the same state, in a task with one
connection. *Django on the bridge* is turbo-orm without native arrays, *COPY* is psycopg's, which
is given tuples, and gives no keys.
"""

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import Model, QuerySet
from django_async_backend.db import async_connections
from psycopg.types.json import Jsonb

from benches.arena import Arena
from benches.tables.data import fill
from benches.tables.models import Narrow, Owner, Wide
from turbo_orm import bridge
from turbo_orm.backend import compiler

CREATED = 5_000
UPDATED = 1_000
FIELDS = ["title", "price", "quantity"]
ROUNDS = 7

type Write = Callable[[list[Any]], Awaitable[Any]]


def _values(model: type[Model], rows: int) -> list[dict[str, Any]]:
    fill(model)
    names = [field.attname for field in model._meta.concrete_fields if not field.primary_key]
    return list(model.threaded.order_by("pk").values(*names)[:rows])


async def _by_django(objs: list[Any]) -> None:
    await type(objs[0]).threaded.abulk_create(objs)


async def _by_django_on_the_bridge(objs: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler.InsertCompiler, "_arrays", lambda self: None)
        await bridge.run(QuerySet(type(objs[0])).bulk_create, objs)


async def _by_turbo(objs: list[Any]) -> None:
    await type(objs[0]).objects.abulk_create(objs)


async def _by_copy(rows: list[tuple[Any, ...]]) -> None:
    """Copy what ``_copied()`` has made of the instances."""
    model, *rows = rows
    columns = ", ".join(f.column for f in model._meta.concrete_fields if not f.primary_key)
    driver = await _driver()
    statement = f"COPY {model._meta.db_table} ({columns}) FROM STDIN"
    async with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(row)


def _copied(model: type[Model], values: list[dict[str, Any]]) -> list[Any]:
    adapted = [
        tuple([Jsonb(each) if isinstance(each, dict) else each for each in row.values()])
        for row in values
    ]
    return [model, *adapted]


async def _driver() -> psycopg.AsyncConnection:
    await bridge.run(lambda: connections["default"].ensure_connection())
    return async_connections["default"].connection


CREATORS: dict[str, Write] = {
    "COPY": _by_copy,
    "Django async": _by_django,
    "Django on the bridge": _by_django_on_the_bridge,
    "turbo-orm": _by_turbo,
}


@pytest.mark.parametrize("name", CREATORS)
@pytest.mark.parametrize("model", [Narrow, Wide], ids=lambda model: model.__name__.lower())
def test_create(benchmark: Any, arena: Arena, model: type[Model], name: str) -> None:
    values = _values(model, CREATED)
    write: Any = CREATORS[name]
    table = model._meta.db_table

    def prepare() -> tuple[tuple[Any], dict[str, Any]]:
        _execute(f"DELETE FROM {table} WHERE id > 1000000")
        _execute(f"ALTER SEQUENCE {table}_id_seq RESTART WITH 1000001")
        rows = _copied(model, values) if name == "COPY" else [model(**each) for each in values]
        gc.collect()
        return (rows,), {}

    _describe(benchmark, model, "create", CREATED, name)
    try:
        benchmark.pedantic(
            lambda rows: arena.task.run(lambda: write(rows)),
            setup=prepare,
            rounds=ROUNDS,
            warmup_rounds=1,
        )
        written = model.threaded.filter(pk__gt=1_000_000).order_by("pk").values(*values[0])
        assert list(written) == values
    finally:
        prepare()
        arena.task.run(_close_threads)


async def _update_by_django(objs: list[Any]) -> None:
    assert await Wide.threaded.abulk_update(objs, FIELDS) == UPDATED


async def _update_by_turbo(objs: list[Any]) -> None:
    assert await Wide.objects.abulk_update(objs, FIELDS) == UPDATED


UPDATERS: dict[str, Write] = {"Django async": _update_by_django, "turbo-orm": _update_by_turbo}


@pytest.mark.parametrize("name", UPDATERS)
def test_update(benchmark: Any, arena: Arena, name: str) -> None:
    fill(Owner)
    fill(Wide)
    objs = list(Wide.threaded.order_by("pk")[:UPDATED])
    write: Any = UPDATERS[name]
    _describe(benchmark, Wide, f"update of {len(FIELDS)} fields", UPDATED, name)
    try:
        benchmark.pedantic(
            lambda: arena.task.run(lambda: write(objs)), rounds=ROUNDS, warmup_rounds=1
        )
    finally:
        arena.task.run(_close_threads)


async def _close_threads() -> None:
    await sync_to_async(connections.close_all)()


def _execute(statement: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(statement)


def _describe(benchmark: Any, model: type[Model], shape: str, rows: int, name: str) -> None:
    table = model.__name__.lower()
    benchmark.group = f"{table} {shape}, {rows:,} rows"
    benchmark.name = name
    benchmark.extra_info |= {
        "measured": "time",
        "table": table,
        "shape": shape,
        "rows": rows,
        "contender": name,
    }
