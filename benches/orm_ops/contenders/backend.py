"""django-async-backend, through its managers and the methods that it adds to models.

Where turbo-orm is installed, its tasks get their connections from turbo-orm. With its own, short
queries would be 3 % faster.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from django_async_backend.db.transaction import async_atomic

from benches import names
from benches.harness.pool import ALIAS
from benches.orm_ops.contenders.contender import Contender
from benches.orm_ops.work import LIMIT, Entry, Page, next_level


class Backend(Contender):
    name = names.BACKEND

    async def instances(self, journal: Any, rows: int) -> list[Any]:
        return [row async for row in journal.backend.using(ALIAS).order_by("id")[:rows]]

    async def insert_single(self, journal: Any, entries: Sequence[Entry]) -> None:
        objects = journal.backend.db_manager(ALIAS)
        for level, text in entries:
            await objects.acreate(level=level, text=text)

    async def insert_batch(self, journal: Any, entries: Sequence[Entry]) -> None:
        objects = journal.backend.db_manager(ALIAS)
        async with async_atomic(ALIAS):
            for level, text in entries:
                await objects.acreate(level=level, text=text)

    async def insert_bulk(self, journal: Any, entries: Sequence[Entry]) -> None:
        objects = journal.backend.db_manager(ALIAS)
        await objects.abulk_create([journal(level=level, text=text) for level, text in entries])

    async def filter_large(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        objects = journal.backend.db_manager(ALIAS)
        for level in levels:
            yield [row async for row in objects.filter(level=level)]

    async def filter_small(self, journal: Any, pages: Sequence[Page]) -> AsyncIterator[list[Any]]:
        objects = journal.backend.db_manager(ALIAS)
        for level, offset in pages:
            yield [row async for row in objects.filter(level=level)[offset : offset + LIMIT]]

    async def get(self, journal: Any, keys: Sequence[int]) -> AsyncIterator[list[Any]]:
        objects = journal.backend.db_manager(ALIAS)
        for key in keys:
            yield [await objects.aget(id=key)]

    async def filter_dict(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        objects = journal.backend.db_manager(ALIAS)
        for level in levels:
            yield [row async for row in objects.filter(level=level).values()]

    async def filter_tuple(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        objects = journal.backend.db_manager(ALIAS)
        for level in levels:
            yield [row async for row in objects.filter(level=level).values_list()]

    async def update_whole(self, journal: Any, instances: Sequence[Any]) -> None:
        async with async_atomic(ALIAS):
            for instance in instances:
                instance.level = next_level(instance.level)
                instance.text = f"{instance.text} Update"
                await instance.async_save()

    async def update_partial(self, journal: Any, instances: Sequence[Any]) -> None:
        async with async_atomic(ALIAS):
            for instance in instances:
                instance.level = next_level(instance.level)
                await instance.async_save(update_fields=["level"])

    async def delete(self, journal: Any, instances: Sequence[Any]) -> None:
        async with async_atomic(ALIAS):
            for instance in instances:
                await instance.async_delete()
