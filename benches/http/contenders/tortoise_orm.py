"""Tortoise, over asyncpg."""

import asyncio
from typing import Any

from tortoise import Tortoise as TortoiseOrm
from tortoise import fields
from tortoise.expressions import F
from tortoise.models import Model
from tortoise.transactions import in_transaction

from benches.http import answer
from benches.http.contender import Contender
from benches.http.endpoints import LENGTH, first_of_list, keys_of_eight


class Author(Model):
    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(max_length=60)
    email = fields.CharField(max_length=254)

    class Meta:
        table = "author"


class Entry(Model):
    id = fields.BigIntField(primary_key=True)
    created = fields.DatetimeField()
    level = fields.IntField()
    text = fields.TextField()
    author = fields.ForeignKeyField("models.Author", related_name="entries")

    class Meta:
        table = "entry"


class Visit(Model):
    id = fields.BigIntField(primary_key=True)
    entry_id = fields.BigIntField()
    referrer = fields.CharField(max_length=200)

    class Meta:
        table = "visit"


class Counter(Model):
    id = fields.BigIntField(primary_key=True)
    visits = fields.IntField()

    class Meta:
        table = "counter"


class Tortoise(Contender):
    """asyncpg's pool."""

    async def open(self) -> None:
        _, rest = self.dsn.split("://", 1)
        separator = "&" if "?" in rest else "?"
        size = f"minsize={self.pool}&maxsize={self.pool}"
        await TortoiseOrm.init(
            db_url=f"asyncpg://{rest}{separator}{size}",
            modules={"models": [__name__]},
            use_tz=True,
            # Requests are other tasks than the one that the server starts with: as Tortoise's
            # own integration with FastAPI has it.
            _enable_global_fallback=True,
        )

    async def close(self) -> None:
        await TortoiseOrm.close_connections()

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
