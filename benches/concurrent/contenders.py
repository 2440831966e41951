"""The contenders: the pools of psycopg and of asyncpg, and turbo-orm with and without sharing."""

from collections.abc import Callable
from typing import Any

import asyncpg
from django.db.models import Func, TextField, Value
from django.test import override_settings
from psycopg_pool import AsyncConnectionPool

from benches import names
from benches.harness.address import address
from benches.harness.pool import CROWDED, CROWDED_SIZE
from benches.small.contenders.contender import Contender
from benches.small.models import Article
from benches.small.operation import Operation
from benches.small.operations import OPERATIONS
from benches.small.statement import statement
from turbo_orm.backend.task_connections import async_connections

GET = next(each for each in OPERATIONS if each.method == "get")
#: Seconds that the slow statement takes.
SLOW = 0.2


class Pooled(Contender):
    """A pool of twenty connections, all open from the beginning."""

    #: Under which name PostgreSQL knows its connections.
    application_name: str

    def __init__(self, new_loop: Callable[[], Any]) -> None:
        self.new_loop = new_loop

    async def get(self, key: int) -> Any:
        raise NotImplementedError

    async def slow(self) -> None:
        """Execute a statement for which PostgreSQL waits."""
        raise NotImplementedError


class PsycopgPool(Pooled):
    """psycopg's pool and psycopg as they come, in autocommit mode."""

    name = names.PSYCOPG
    application_name = "psycopg"

    async def open(self) -> None:
        given = address()
        self._pool = AsyncConnectionPool(
            min_size=CROWDED_SIZE,
            max_size=CROWDED_SIZE,
            timeout=60,
            kwargs={
                **{name: value for name, value in given.items() if name != "database"},
                "dbname": given["database"],
                "application_name": self.application_name,
                "autocommit": True,
            },
            open=False,
        )
        await self._pool.open(wait=True)

    async def close(self) -> None:
        await self._pool.close()

    def call(self, operation: Operation) -> Callable[..., Any]:
        self._sql = statement(operation)
        return super().call(operation)

    async def get(self, key: int) -> Any:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(self._sql, [key])
            return await cursor.fetchone()

    async def slow(self) -> None:
        async with self._pool.connection() as connection:
            await connection.execute("SELECT pg_sleep(%s)", [SLOW])

    def answer(self, operation: Operation, found: Any) -> Any:
        return tuple(found)


class AsyncpgPool(Pooled):
    """asyncpg's pool and asyncpg as they come."""

    name = names.ASYNCPG
    application_name = "asyncpg"

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            **address(),
            min_size=CROWDED_SIZE,
            max_size=CROWDED_SIZE,
            server_settings={"application_name": self.application_name},
        )

    async def close(self) -> None:
        await self._pool.close()

    def call(self, operation: Operation) -> Callable[..., Any]:
        self._sql = statement(operation).replace("%s", "$1")
        return super().call(operation)

    def get(self, key: int) -> Any:
        return self._pool.fetchrow(self._sql, key)

    async def slow(self) -> None:
        await self._pool.execute("SELECT pg_sleep($1)", SLOW)

    def answer(self, operation: Operation, found: Any) -> Any:
        return tuple(found)


class Turbo(Pooled):
    """turbo-orm, with so many connections that the statements of several tasks share."""

    application_name = CROWDED

    def __init__(self, new_loop: Callable[[], Any], name: str, multiplex: int) -> None:
        super().__init__(new_loop)
        self.name = name
        self._settings = override_settings(
            TURBO_ORM={"PATCH_DJANGO": False, "MULTIPLEX": multiplex}
        )

    async def open(self) -> None:
        self._settings.enable()
        self._articles: Any = Article.objects.db_manager(CROWDED)
        # Each task has the connections of its own, and the pool those of all.
        await self.get(1)

    async def close(self) -> None:
        await async_connections[CROWDED].close()
        self._settings.disable()

    def get(self, key: int) -> Any:
        return self._articles.aget(pk=key)

    async def slow(self) -> None:
        slept = Func(Value(SLOW), function="pg_sleep", output_field=TextField())
        await self._articles.filter(pk=1).annotate(slept=slept).values_list("slept").alist()
