"""yara-orm, whose pool is in Rust."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from yara_orm import YaraOrm, in_transaction

from benches.address import url
from benches.orm_ops.contenders.contender import Contender
from benches.orm_ops.journals import yara
from benches.orm_ops.pool import SIZE
from benches.orm_ops.work import LIMIT, Entry, Page, next_level


class Yara(Contender):
    name = "yara-orm"
    models = yara

    async def open(self) -> None:
        await YaraOrm.init(url(max_size=SIZE), use_tz=True)

    async def close(self) -> None:
        await YaraOrm.close()

    async def instances(self, journal: Any, rows: int) -> list[Any]:
        return await journal.all().order_by("id").limit(rows)

    async def insert_single(self, journal: Any, entries: Sequence[Entry]) -> None:
        for level, text in entries:
            await journal.create(level=level, text=text)

    async def insert_batch(self, journal: Any, entries: Sequence[Entry]) -> None:
        async with in_transaction():
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
        async with in_transaction():
            for instance in instances:
                instance.level = next_level(instance.level)
                instance.text = f"{instance.text} Update"
                await instance.save()

    async def update_partial(self, journal: Any, instances: Sequence[Any]) -> None:
        async with in_transaction():
            for instance in instances:
                instance.level = next_level(instance.level)
                await instance.save(update_fields=["level"])

    async def delete(self, journal: Any, instances: Sequence[Any]) -> None:
        async with in_transaction():
            for instance in instances:
                await instance.delete()
