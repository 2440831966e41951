"""asyncpg and its pool, and nothing above."""

import asyncio
from typing import Any

import asyncpg

from benches.http import answer
from benches.http.contender import Contender
from benches.http.contenders.statements import with_parameters
from benches.http.endpoints import LENGTH, first_of_list, keys_of_eight

ENTRY, LIST, JOINED, VISIT, COUNT = with_parameters("$1", "$2")


class AsyncpgPool(Contender):
    """A connection for each statement or transaction."""

    async def open(self) -> None:
        self.connections = await asyncpg.create_pool(
            self.dsn, min_size=self.pool, max_size=self.pool
        )

    async def close(self) -> None:
        await self.connections.close()

    async def get(self, key: int) -> Any:
        return answer.entry_of_row(await self.connections.fetchrow(ENTRY, key))

    async def list(self, key: int) -> Any:
        rows = await self.connections.fetch(LIST, first_of_list(key), LENGTH)
        return [answer.entry_of_row(row) for row in rows]

    async def joined(self, key: int) -> Any:
        rows = await self.connections.fetch(JOINED, first_of_list(key), LENGTH)
        return [answer.joined_of_row(tuple(row)) for row in rows]

    async def eight(self, key: int) -> Any:
        return await asyncio.gather(*map(self.get, keys_of_eight(key)))

    async def write(self, key: int) -> Any:
        async with self.connections.acquire() as connection, connection.transaction():
            await connection.fetchval(VISIT, key, "https://example.org/")
            await connection.execute(COUNT, key)
        return answer.written(key)
