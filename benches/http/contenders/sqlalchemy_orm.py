"""SQLAlchemy's async ORM, over asyncpg: a session for each request, or for each query at once."""

import asyncio
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, DateTime, ForeignKey, String, Text, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship

from benches.http import answer
from benches.http.contender import Contender
from benches.http.endpoints import LENGTH, first_of_list, keys_of_eight


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    email: Mapped[str] = mapped_column(String(254))


class Entry(Base):
    __tablename__ = "entry"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    level: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship()


class Visit(Base):
    __tablename__ = "visit"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    entry_id: Mapped[int] = mapped_column(BigInteger)
    referrer: Mapped[str] = mapped_column(String(200))


class Counter(Base):
    __tablename__ = "counter"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    visits: Mapped[int]


class SqlAlchemy(Contender):
    """SQLAlchemy's pool."""

    async def open(self) -> None:
        url = f"postgresql+asyncpg://{self.dsn.split('://', 1)[1]}"
        self.engine = create_async_engine(
            url, pool_size=self.pool, max_overflow=0, pool_timeout=60
        )
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)

    async def close(self) -> None:
        await self.engine.dispose()

    async def get(self, key: int) -> Any:
        async with self.session() as session:
            return answer.entry(await session.get_one(Entry, key))

    async def list(self, key: int) -> Any:
        query = select(Entry).where(Entry.id >= first_of_list(key)).order_by(Entry.id)
        async with self.session() as session:
            return [answer.entry(entry) for entry in await session.scalars(query.limit(LENGTH))]

    async def joined(self, key: int) -> Any:
        query = select(Entry).where(Entry.id >= first_of_list(key)).order_by(Entry.id)
        query = query.options(joinedload(Entry.author, innerjoin=True)).limit(LENGTH)
        async with self.session() as session:
            return [answer.joined(entry) for entry in await session.scalars(query)]

    async def json(self, key: int) -> Any:
        columns = [getattr(Entry, name) for name in answer.ENTRY]
        query = select(*columns).where(Entry.id >= first_of_list(key)).order_by(Entry.id)
        async with self.session() as session:
            rows = (await session.execute(query.limit(LENGTH))).mappings()
            return orjson.dumps([dict(row) for row in rows])

    async def joined_json(self, key: int) -> Any:
        return orjson.dumps(await self.joined(key))

    async def eight(self, key: int) -> Any:
        return await asyncio.gather(*map(self.get, keys_of_eight(key)))

    async def write(self, key: int) -> Any:
        async with self.session.begin() as session:
            session.add(Visit(entry_id=key, referrer="https://example.org/"))
            await session.execute(
                update(Counter)
                .where(Counter.id == key)
                .values(visits=Counter.visits + 1)
                .execution_options(synchronize_session=False)
            )
        return answer.written(key)
