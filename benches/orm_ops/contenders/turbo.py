"""turbo-orm, whose tasks acquire their connections from a pool."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from benches import names
from benches.harness.pool import ALIAS
from benches.orm_ops.contenders.contender import Contender
from benches.orm_ops.work import LIMIT, Entry, Page, next_level
from turbo_orm import async_atomic


class Turbo(Contender):
    name = names.TURBO

    async def instances(self, journal: Any, rows: int) -> list[Any]:
        return await journal.objects.using(ALIAS).order_by("id")[:rows].alist()

    async def insert_single(self, journal: Any, entries: Sequence[Entry]) -> None:
        objects = journal.objects.db_manager(ALIAS)
        for level, text in entries:
            await objects.acreate(level=level, text=text)

    async def insert_batch(self, journal: Any, entries: Sequence[Entry]) -> None:
        objects = journal.objects.db_manager(ALIAS)
        async with async_atomic(ALIAS):
            for level, text in entries:
                await objects.acreate(level=level, text=text)

    async def insert_bulk(self, journal: Any, entries: Sequence[Entry]) -> None:
        objects = journal.objects.db_manager(ALIAS)
        await objects.abulk_create([journal(level=level, text=text) for level, text in entries])

    async def filter_large(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        objects = journal.objects.db_manager(ALIAS)
        for level in levels:
            yield await objects.filter(level=level).alist()

    async def filter_small(self, journal: Any, pages: Sequence[Page]) -> AsyncIterator[list[Any]]:
        objects = journal.objects.db_manager(ALIAS)
        for level, offset in pages:
            yield await objects.filter(level=level)[offset : offset + LIMIT].alist()

    async def get(self, journal: Any, keys: Sequence[int]) -> AsyncIterator[list[Any]]:
        objects = journal.objects.db_manager(ALIAS)
        for key in keys:
            yield [await objects.aget(id=key)]

    async def filter_dict(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        objects = journal.objects.db_manager(ALIAS)
        for level in levels:
            yield await objects.filter(level=level).values().alist()

    async def filter_tuple(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        objects = journal.objects.db_manager(ALIAS)
        for level in levels:
            yield await objects.filter(level=level).values_list().alist()

    async def update_whole(self, journal: Any, instances: Sequence[Any]) -> None:
        async with async_atomic(ALIAS):
            for instance in instances:
                instance.level = next_level(instance.level)
                instance.text = f"{instance.text} Update"
                await instance.asave()

    async def update_partial(self, journal: Any, instances: Sequence[Any]) -> None:
        async with async_atomic(ALIAS):
            for instance in instances:
                instance.level = next_level(instance.level)
                await instance.asave(update_fields=["level"])

    async def delete(self, journal: Any, instances: Sequence[Any]) -> None:
        async with async_atomic(ALIAS):
            for instance in instances:
                await instance.adelete()
