"""psycopg and its pool, and nothing above."""

import asyncio
from typing import Any

from psycopg_pool import AsyncConnectionPool

from benches.http import answer
from benches.http.contender import Contender
from benches.http.contenders.statements import with_parameters
from benches.http.endpoints import LENGTH, first_of_list, keys_of_eight

ENTRY, LIST, JOINED, VISIT, COUNT = with_parameters("%s", "%s")


class PsycopgPool(Contender):
    """A connection for each statement or transaction, in autocommit mode."""

    async def open(self) -> None:
        self.connections = AsyncConnectionPool(
            self.dsn,
            min_size=self.pool,
            max_size=self.pool,
            timeout=60,
            kwargs={"autocommit": True, "options": "-c timezone=UTC"},
            open=False,
        )
        await self.connections.open(wait=True)

    async def close(self) -> None:
        await self.connections.close()

    async def get(self, key: int) -> Any:
        async with self.connections.connection() as connection:
            cursor = await connection.execute(ENTRY, [key])
            return answer.entry_of_row(await cursor.fetchone())

    async def list(self, key: int) -> Any:
        async with self.connections.connection() as connection:
            cursor = await connection.execute(LIST, [first_of_list(key), LENGTH])
            return [answer.entry_of_row(row) for row in await cursor.fetchall()]

    async def joined(self, key: int) -> Any:
        async with self.connections.connection() as connection:
            cursor = await connection.execute(JOINED, [first_of_list(key), LENGTH])
            return [answer.joined_of_row(row) for row in await cursor.fetchall()]

    async def eight(self, key: int) -> Any:
        return await asyncio.gather(*map(self.get, keys_of_eight(key)))

    async def write(self, key: int) -> Any:
        async with self.connections.connection() as connection, connection.transaction():
            await connection.execute(VISIT, [key, "https://example.org/"])
            await connection.execute(COUNT, [key])
        return answer.written(key)


class PsycopgOrjson(PsycopgPool):
    """The same rows, encoded by orjson."""

    async def json(self, key: int) -> Any:
        return _dumps(await self.list(key))

    async def joined_json(self, key: int) -> Any:
        return _dumps(await self.joined(key))


def _dumps(rows: Any) -> bytes:
    # Who checks answers does without it.
    import orjson

    return orjson.dumps(rows)
