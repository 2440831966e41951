"""What is in the tables that the tests only read."""

import datetime
import math
import uuid
from datetime import UTC, timedelta
from decimal import Decimal

from tests.library import bulk, catalogue, options, rows, saving
from tests.library import models as m

# The models whose tables the tests write to; those of all others are only read.
WRITTEN = [
    *bulk.WRITTEN,
    *saving.WRITTEN,
    catalogue.Shelf,
    catalogue.Signature,
    catalogue.Signature.see.through,
    m.Account,
    m.Article,
    m.Captain,
    m.Comment,
    m.Contract,
    m.Diary,
    m.Entry,
    m.Event,
    m.Mentoring,
    m.Player,
    m.Player.skills.through,
    m.Seat,
    m.Skill,
    m.Team,
    m.Ticket,
    options.Booking,
    options.Ledger,
    options.Poem,
    options.Stanza,
]


def fill() -> None:
    """Fill the tables, by Django's sync ORM."""
    people()
    samples()
    kinds()
    rows.fill()


def people() -> None:
    names = ["Ada", "Bo", "Ćiro", "Дина", "愛子", "Zoë"]
    authors = m.Author.objects.bulk_create(
        m.Author(name=name, born=datetime.date(1900 + 10 * i, 1 + i, 2) if i % 2 else None)
        for i, name in enumerate(names)
    )
    m.Profile.objects.bulk_create(
        m.Profile(author=author, motto=f"I am {author.name}") for author in authors[:4]
    )
    tags = m.Tag.objects.bulk_create(m.Tag(label=f"tag-{i}") for i in range(4))
    for i in range(30):
        book = m.Book.objects.create(
            title=f"Book {i}" if i else "",
            author=authors[i % 5],
            translator=authors[(i + 1) % 6] if i % 3 else None,
            pages=37 * i % 500,
            published=datetime.datetime(2000 + i, 1 + i % 12, 1, 12, i, tzinfo=UTC)
            if i % 4
            else None,
        )
        book.tags.set(tags[: i % 4])
        if i % 5 == 0:
            book.notes.create(text=f"note on {i}")
    authors[0].friends.set(authors[1:3])


def samples() -> None:
    """Write the corners of each type, and rows of nothing but NULL."""
    rows = [
        {},
        {
            "small": -32768,
            "integer": -(2**31),
            "big": -(2**63),
            "real": -1.5e300,
            "flag": True,
            "text": "ß \x7f €\n\t'\"\\ 𝄞",
            "char": "",
            "slug": "a-b_c",
            "amount": Decimal("-12345678901234567890.0123456789"),
            "date": datetime.date(1, 1, 1),
            "time": datetime.time(0, 0),
            "moment": datetime.datetime(1, 1, 1, tzinfo=UTC),
            "span": timedelta(days=-1, microseconds=1),
            "key": uuid.UUID(int=0),
            "data": {"a": [1, 2.5, None, True, "ü", {"b": 10**30}], "": -0.0},
            "blob": b"",
            "address": "192.168.0.1",
            "upload": "a/b.txt",
            "email": "a@example.com",
        },
        {
            "small": 32767,
            "integer": 2**31 - 1,
            "big": 2**63 - 1,
            "real": math.inf,
            "flag": False,
            "text": "",
            "char": "NULL",
            "amount": Decimal("0"),
            "date": datetime.date(9999, 12, 31),
            "time": datetime.time(23, 59, 59, 999999),
            "moment": datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            "span": timedelta(days=1000, hours=26, microseconds=-5),
            "key": uuid.UUID(int=2**128 - 1),
            "data": [],
            "blob": bytes(range(256)),
            "address": "2001:db8::1",
        },
        {
            "small": 0,
            "real": 0.1,
            "amount": Decimal("1E-10"),
            "time": datetime.time(1, 2, 3, 400000),
            "moment": datetime.datetime(2024, 2, 29, 12, 30, 15, 123000, tzinfo=UTC),
            "span": timedelta(0),
            "key": uuid.UUID("12345678-9abc-def0-1234-56789abcdef0"),
            "data": "text",
            "blob": b"\\x00",
        },
        {"real": -math.inf, "span": timedelta(milliseconds=-1), "data": 1, "big": 0},
        {"span": timedelta(days=400, seconds=-1), "data": False, "time": datetime.time(12)},
    ]
    for row in rows:
        m.Sample.objects.create(**row)
    m.Sample.objects.create(real=math.nan, data={"deep": nested(300)})


def nested(depth: int) -> list:
    """Return lists within lists, deeper than the native JSON parser goes."""
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def kinds() -> None:
    for i in range(5):
        m.Place.objects.create(name=f"place {i}")
        m.Restaurant.objects.create(name=f"restaurant {i}", stars=i)
        m.Converted.objects.create(shout=f"quiet {i}" if i else None)
        m.WithFromDb.objects.create(name=f"loaded {i}")
        m.WithInit.objects.create(name=f"made {i}")
        m.WithMixin.objects.create(name=f"mixed {i}")
        m.WithDescriptor.objects.create(name=f"described {i}")
        m.Order.objects.create(shop=i % 2, number=i, total=Decimal(i))
