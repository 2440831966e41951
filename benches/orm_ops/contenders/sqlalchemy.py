"""SQLAlchemy's ORM on asyncpg: a session for each task, with its unit of work.

- What is changed in a transaction is flushed at its end: rows are inserted, updated and deleted
  many at a time, and updates have the columns that have changed. The table is the same in the
  end.
- Bulk inserts are ``insert()`` with a list of dicts, which its documentation has for large ones.
  ``add_all()`` would do what inserting in a batch does already.
- Detached instances are added to the task's session, which sends nothing to the server.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import URL, insert, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from benches import names
from benches.harness.address import address
from benches.harness.pool import SIZE
from benches.orm_ops.contenders.contender import Contender
from benches.orm_ops.journals import sqlalchemy
from benches.orm_ops.work import LIMIT, Entry, Page, next_level


class SqlAlchemy(Contender):
    name = names.SQLALCHEMY
    models = sqlalchemy

    async def open(self) -> None:
        # Not in the URL, which cannot have a directory as host.
        self.engine = create_async_engine(
            URL.create("postgresql+asyncpg"),
            connect_args=address(),
            pool_size=SIZE,
            max_overflow=0,
        )
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)

    async def close(self) -> None:
        await self.engine.dispose()

    async def instances(self, journal: Any, rows: int) -> list[Any]:
        async with self.session() as session:
            query = select(journal).order_by(journal.id).limit(rows)
            return list(await session.scalars(query))

    async def insert_single(self, journal: Any, entries: Sequence[Entry]) -> None:
        async with self.session() as session:
            for level, text in entries:
                session.add(journal(level=level, text=text))
                await session.commit()

    async def insert_batch(self, journal: Any, entries: Sequence[Entry]) -> None:
        async with self.session.begin() as session:
            for level, text in entries:
                session.add(journal(level=level, text=text))

    async def insert_bulk(self, journal: Any, entries: Sequence[Entry]) -> None:
        async with self.session.begin() as session:
            rows = [{"level": level, "text": text} for level, text in entries]
            await session.execute(insert(journal), rows)

    async def filter_large(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        async with self.session() as session:
            for level in levels:
                result = await session.scalars(select(journal).where(journal.level == level))
                yield result.all()

    async def filter_small(self, journal: Any, pages: Sequence[Page]) -> AsyncIterator[list[Any]]:
        async with self.session() as session:
            for level, offset in pages:
                query = select(journal).where(journal.level == level).limit(LIMIT).offset(offset)
                yield (await session.scalars(query)).all()

    async def get(self, journal: Any, keys: Sequence[int]) -> AsyncIterator[list[Any]]:
        async with self.session() as session:
            for key in keys:
                yield [await session.get_one(journal, key)]

    async def filter_dict(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        async with self.session() as session:
            for level in levels:
                query = select(*journal.__table__.columns).where(journal.level == level)
                yield (await session.execute(query)).mappings().all()

    async def filter_tuple(self, journal: Any, levels: Sequence[int]) -> AsyncIterator[list[Any]]:
        async with self.session() as session:
            for level in levels:
                query = select(*journal.__table__.columns).where(journal.level == level)
                yield (await session.execute(query)).all()

    async def update_whole(self, journal: Any, instances: Sequence[Any]) -> None:
        async with self.session.begin() as session:
            session.add_all(instances)
            for instance in instances:
                instance.level = next_level(instance.level)
                instance.text = f"{instance.text} Update"

    async def update_partial(self, journal: Any, instances: Sequence[Any]) -> None:
        async with self.session.begin() as session:
            session.add_all(instances)
            for instance in instances:
                instance.level = next_level(instance.level)

    async def delete(self, journal: Any, instances: Sequence[Any]) -> None:
        async with self.session.begin() as session:
            session.add_all(instances)
            for instance in instances:
                await session.delete(instance)
