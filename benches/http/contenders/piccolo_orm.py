"""Piccolo, over asyncpg."""

import asyncio
from typing import Any

from piccolo.columns import (
    BigInt,
    BigSerial,
    ForeignKey,
    Integer,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.engine.postgres import PostgresEngine
from piccolo.table import Table

from benches.http import answer
from benches.http.contender import Contender
from benches.http.endpoints import LENGTH, first_of_list, keys_of_eight

# Piccolo looks for the engine when a table is defined; open() sets its address.
ENGINE = PostgresEngine(config={})


class Author(Table, tablename="author", db=ENGINE):
    id = BigSerial(primary_key=True)
    name = Varchar(length=60)
    email = Varchar(length=254)


class Entry(Table, tablename="entry", db=ENGINE):
    id = BigSerial(primary_key=True)
    created = Timestamptz()
    level = Integer()
    text = Text()
    author = ForeignKey(Author, db_column_name="author_id")

    @property
    def author_id(self) -> Any:
        """The key of the author, whether it has been fetched or not."""
        return self.author.id if isinstance(self.author, Author) else self.author


class Visit(Table, tablename="visit", db=ENGINE):
    id = BigSerial(primary_key=True)
    entry_id = BigInt()
    referrer = Varchar(length=200)


class Counter(Table, tablename="counter", db=ENGINE):
    id = BigSerial(primary_key=True)
    visits = Integer()


class Piccolo(Contender):
    """Piccolo's pool, which is asyncpg's."""

    async def open(self) -> None:
        ENGINE.config = {"dsn": self.dsn}
        await ENGINE.start_connection_pool(min_size=self.pool, max_size=self.pool)

    async def close(self) -> None:
        await ENGINE.close_connection_pool()

    async def get(self, key: int) -> Any:
        return answer.entry(await Entry.objects().get(Entry.id == key))

    async def list(self, key: int) -> Any:
        entries = Entry.objects().where(Entry.id >= first_of_list(key)).order_by(Entry.id)
        return [answer.entry(entry) for entry in await entries.limit(LENGTH)]

    async def joined(self, key: int) -> Any:
        entries = Entry.objects(Entry.author).where(Entry.id >= first_of_list(key))
        return [answer.joined(entry) for entry in await entries.order_by(Entry.id).limit(LENGTH)]

    async def json(self, key: int) -> Any:
        entries = Entry.select(
            Entry.id, Entry.created, Entry.level, Entry.text, Entry.author.as_alias("author_id")
        )
        entries = entries.where(Entry.id >= first_of_list(key)).order_by(Entry.id).limit(LENGTH)
        return (await entries.output(as_json=True)).encode()

    async def eight(self, key: int) -> Any:
        return await asyncio.gather(*map(self.get, keys_of_eight(key)))

    async def write(self, key: int) -> Any:
        async with ENGINE.transaction():
            await Visit(entry_id=key, referrer="https://example.org/").save()
            await Counter.update({Counter.visits: Counter.visits + 1}).where(Counter.id == key)
        return answer.written(key)
