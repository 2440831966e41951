"""yara-orm, an async ORM with an engine in Rust."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from yara_orm import F, Model, YaraOrm, fields, in_transaction

from benches.http import answer
from benches.http.contender import Contender
from benches.http.endpoints import LENGTH, first_of_list, keys_of_eight


class Author(Model):
    id = fields.BigIntField(pk=True)
    name = fields.CharField(max_length=60)
    email = fields.CharField(max_length=254)

    class Meta:
        table = "author"


class Entry(Model):
    id = fields.BigIntField(pk=True)
    created = fields.DatetimeField()
    level = fields.IntField()
    text = fields.TextField()
    author = fields.ForeignKeyField("Author", related_name="entries")

    class Meta:
        table = "entry"


class Visit(Model):
    id = fields.BigIntField(pk=True)
    entry_id = fields.BigIntField()
    referrer = fields.CharField(max_length=200)

    class Meta:
        table = "visit"


class Counter(Model):
    id = fields.BigIntField(pk=True)
    visits = fields.IntField()

    class Meta:
        table = "counter"


class Yara(Contender):
    """yara-orm's pool."""

    async def open(self) -> None:
        # It wants the directory of the socket where others have a host.
        url = urlsplit(self.dsn)
        (directory,) = parse_qs(url.query)["host"]
        await YaraOrm.init(
            f"postgres://{url.username}@{quote(directory, safe='')}:5432{url.path}"
            f"?max_size={self.pool}",
            use_tz=True,
        )

    async def close(self) -> None:
        await YaraOrm.close()

    async def get(self, key: int) -> Any:
        return answer.entry(await Entry.get(id=key))

    async def list(self, key: int) -> Any:
        entries = Entry.filter(id__gte=first_of_list(key)).order_by("id").limit(LENGTH)
        return [answer.entry(entry) for entry in await entries]

    async def joined(self, key: int) -> Any:
        entries = Entry.filter(id__gte=first_of_list(key)).order_by("id").limit(LENGTH)
        return [answer.joined(entry) for entry in await entries.select_related("author")]

    async def eight(self, key: int) -> Any:
        return await asyncio.gather(*map(self.get, keys_of_eight(key)))

    async def write(self, key: int) -> Any:
        async with in_transaction():
            await Visit.create(entry_id=key, referrer="https://example.org/")
            await Counter.filter(id=key).update(visits=F("visits") + 1)
        return answer.written(key)
