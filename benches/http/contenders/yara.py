"""yara-orm, an async ORM with an engine in Rust."""

from urllib.parse import parse_qs, quote, urlsplit

from yara_orm import F, Model, YaraOrm, fields, in_transaction

from benches.http.contenders.active_records import ActiveRecords


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


class Yara(ActiveRecords):
    """yara-orm's pool."""

    Entry, Visit, Counter = Entry, Visit, Counter
    F = F
    in_transaction = staticmethod(in_transaction)

    async def open(self) -> None:
        # The socket's directory takes the place of the host.
        url = urlsplit(self.dsn)
        (directory,) = parse_qs(url.query)["host"]
        await YaraOrm.init(
            f"postgres://{url.username}@{quote(directory, safe='')}:5432{url.path}"
            f"?max_size={self.pool}",
            use_tz=True,
        )

    async def close(self) -> None:
        await YaraOrm.close()
