"""Tortoise on asyncpg, and what it has in common with yara-orm."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from tortoise import Tortoise as TortoiseOrm
from tortoise.transactions import in_transaction

from benches import names
from benches.harness.address import address
from benches.harness.pool import SIZE
from benches.orm_ops.contenders.contender import Contender
from benches.orm_ops.journals import tortoise
from benches.orm_ops.work import LIMIT, Entry, Page, next_level


class ActiveRecords(Contender):
    """The operations in the API of Tortoise, which yara-orm has, too."""

    #: Begins a transaction of the running task.
    in_transaction: Callable[[], AbstractAsyncContextManager[Any]]

    async def instances(self, journal: Any, rows: int) -> list[Any]:
        return await journal.all().order_by("id").limit(rows)

    async def insert_single(self, journal: Any, entries: Sequence[Entry]) -> None:
        for level, text in entries:
            await journal.create(level=level, text=text)

    async def insert_batch(self, journal: Any, entries: Sequence[Entry]) -> None:
        async with self.in_transaction():
            for level, text in entries:
                await journal.create(level=level, text=text)

    async def insert_bulk(self, journal: Any, entries: Sequence[Entry]) -> None:
        await journal.bulk_create([journal(level=level, text=text) for level, text in entries])

    async def filter_large(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        for level in levels:
            yield await journal.filter(level=level)

    async def filter_small(self, journal: Any, pages: Sequence[Page]) -> AsyncIterator[list[Any]]:
        for level, offset in pages:
            yield await journal.filter(level=level).limit(LIMIT).offset(offset)

    async def get(self, journal: Any, keys: Sequence[int]) -> AsyncIterator[list[Any]]:
        for key in keys:
            yield [await journal.get(id=key)]

    async def filter_dict(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        for level in levels:
            yield await journal.filter(level=level).values()

    async def filter_tuple(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        for level in levels:
            yield await journal.filter(level=level).values_list()

    async def update_whole(self, journal: Any, instances: Sequence[Any]) -> None:
        async with self.in_transaction():
            for instance in instances:
                instance.level = next_level(instance.level)
                instance.text = f"{instance.text} Update"
                await instance.save()

    async def update_partial(self, journal: Any, instances: Sequence[Any]) -> None:
        async with self.in_transaction():
            for instance in instances:
                instance.level = next_level(instance.level)
                await instance.save(update_fields=["level"])

    async def delete(self, journal: Any, instances: Sequence[Any]) -> None:
        async with self.in_transaction():
            for instance in instances:
                await instance.delete()


class Tortoise(ActiveRecords):
    name = names.TORTOISE
    models = tortoise
    in_transaction = staticmethod(in_transaction)

    async def open(self) -> None:
        credentials = {**address(), "minsize": SIZE, "maxsize": SIZE}
        await TortoiseOrm.init(
            config={
                "connections": {
                    "default": {
                        "engine": "tortoise.backends.asyncpg",
                        "credentials": credentials,
                    }
                },
                "apps": {"journals": {"models": [tortoise.__name__]}},
            }
        )

    async def close(self) -> None:
        await TortoiseOrm.close_connections()
