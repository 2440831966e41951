"""Tortoise, over asyncpg."""

from tortoise import Tortoise as TortoiseOrm
from tortoise import fields
from tortoise.expressions import F
from tortoise.models import Model
from tortoise.transactions import in_transaction

from benches.http.contenders.active_records import ActiveRecords


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


class Tortoise(ActiveRecords):
    """asyncpg's pool."""

    Entry, Visit, Counter = Entry, Visit, Counter
    F = F
    in_transaction = staticmethod(in_transaction)

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
