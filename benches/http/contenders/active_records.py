"""The endpoints in the API of Tortoise, which yara-orm has, too."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson

from benches.http import answer
from benches.http.contender import Contender
from benches.http.endpoints import LENGTH, first_of_list, keys_of_eight


class ActiveRecords(Contender):
    """An ORM, with its models and its own way to name a column and to begin a transaction."""

    Entry: Any
    Visit: Any
    Counter: Any
    F: Callable[[str], Any]
    in_transaction: Callable[[], AbstractAsyncContextManager[Any]]

    async def get(self, key: int) -> Any:
        return answer.entry(await self.Entry.get(id=key))

    async def list(self, key: int) -> Any:
        entries = self.Entry.filter(id__gte=first_of_list(key)).order_by("id").limit(LENGTH)
        return [answer.entry(entry) for entry in await entries]

    async def joined(self, key: int) -> Any:
        entries = self.Entry.filter(id__gte=first_of_list(key)).order_by("id").limit(LENGTH)
        return [answer.joined(entry) for entry in await entries.select_related("author")]

    async def json(self, key: int) -> Any:
        entries = self.Entry.filter(id__gte=first_of_list(key)).order_by("id").limit(LENGTH)
        return orjson.dumps([*await entries.values(*answer.ENTRY)])

    async def joined_json(self, key: int) -> Any:
        return orjson.dumps(await self.joined(key))

    async def eight(self, key: int) -> Any:
        return await asyncio.gather(*map(self.get, keys_of_eight(key)))

    async def write(self, key: int) -> Any:
        async with self.in_transaction():
            await self.Visit.create(entry_id=key, referrer="https://example.org/")
            await self.Counter.filter(id=key).update(visits=self.F("visits") + 1)
        return answer.written(key)
