"""Piccolo on asyncpg.

It has no tuples: they are made of its dicts, as in the original. It leaves JSON as text unless a
query has ``load_json``.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from piccolo.engine.postgres import PostgresEngine

from benches import names
from benches.harness.address import address
from benches.harness.pool import SIZE
from benches.orm_ops.contenders.contender import Contender
from benches.orm_ops.journals import piccolo
from benches.orm_ops.work import LIMIT, Entry, Page, next_level


class Piccolo(Contender):
    name = names.PICCOLO
    models = piccolo

    async def open(self) -> None:
        self.engine = PostgresEngine(address())
        for journal in (piccolo.Journal1, piccolo.Journal2, piccolo.Journal3):
            journal._meta.db = self.engine
        await self.engine.start_connection_pool(min_size=SIZE, max_size=SIZE)

    async def close(self) -> None:
        await self.engine.close_connection_pool()

    async def instances(self, journal: Any, rows: int) -> list[Any]:
        return await journal.objects().order_by(journal.id).limit(rows).output(load_json=True)

    async def insert_single(self, journal: Any, entries: Sequence[Entry]) -> None:
        for level, text in entries:
            await journal.objects().create(level=level, text=text)

    async def insert_batch(self, journal: Any, entries: Sequence[Entry]) -> None:
        async with self.engine.transaction():
            for level, text in entries:
                await journal.objects().create(level=level, text=text)

    async def insert_bulk(self, journal: Any, entries: Sequence[Entry]) -> None:
        await journal.insert(*(journal(level=level, text=text) for level, text in entries))

    async def filter_large(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        for level in levels:
            yield await journal.objects().where(journal.level == level).output(load_json=True)

    async def filter_small(self, journal: Any, pages: Sequence[Page]) -> AsyncIterator[list[Any]]:
        for level, offset in pages:
            query = journal.objects().where(journal.level == level).limit(LIMIT).offset(offset)
            yield await query.output(load_json=True)

    async def get(self, journal: Any, keys: Sequence[int]) -> AsyncIterator[list[Any]]:
        for key in keys:
            yield [await journal.objects().output(load_json=True).get(journal.id == key)]

    async def filter_dict(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        for level in levels:
            yield await journal.select().where(journal.level == level).output(load_json=True)

    async def filter_tuple(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        async for rows in self.filter_dict(journal, levels):
            yield [tuple(row.values()) for row in rows]

    async def update_whole(self, journal: Any, instances: Sequence[Any]) -> None:
        async with self.engine.transaction():
            for instance in instances:
                instance.level = next_level(instance.level)
                instance.text = f"{instance.text} Update"
                await instance.save()

    async def update_partial(self, journal: Any, instances: Sequence[Any]) -> None:
        async with self.engine.transaction():
            for instance in instances:
                instance.level = next_level(instance.level)
                await instance.save(columns=[journal.level])

    async def delete(self, journal: Any, instances: Sequence[Any]) -> None:
        async with self.engine.transaction():
            for instance in instances:
                await instance.remove()
