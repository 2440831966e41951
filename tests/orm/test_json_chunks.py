"""``ajson_chunks()``: the array in parts, from a cursor on the server."""

import asyncio
import json
from contextlib import aclosing

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DataError, connection
from django.db.models import Count, F, Value
from django.test import override_settings

from tests.library.models import Account, Author, Book
from tests.orm.test_nested_json import NAMED, RELATED, cache_off
from turbo_orm import async_atomic, bridge
from turbo_orm.execution import fetching

pytestmark = pytest.mark.usefixtures("library", "empty_cache")


def dumps(objects):
    return json.dumps(list(objects), cls=DjangoJSONEncoder).encode()


async def chunks(queryset, size=4, **options):
    async with aclosing(queryset.ajson_chunks(size, **options)) as parts:
        return [part async for part in parts]


BOOKS = Book.objects.order_by("pk")
ROWS = {
    "dicts": lambda: BOOKS.values(),
    "tuples": lambda: BOOKS.values_list("title", "author__name"),
    "named tuples": lambda: BOOKS.values_list("title", "pages", named=True),
    "values": lambda: BOOKS.values_list("published", flat=True),
    "annotations": lambda: BOOKS.values("author").annotate(n=Count("pk")).order_by("author"),
    "dates": lambda: Author.objects.dates("born", "year"),
    "a union": lambda: BOOKS.values("title").union(BOOKS.values("title"), all=True),
    "a slice": lambda: BOOKS.values("title")[1:4],
    "none": lambda: BOOKS.filter(pk=-1).values_list("pk"),
    "none that can match": lambda: BOOKS.none().values("pk"),
}


@pytest.mark.parametrize("size", [1, 3, 2000])
@pytest.mark.parametrize("case", ROWS)
def test_the_parts_are_the_array(case, size, run):
    make = ROWS[case]
    expected = dumps(make())
    rows = len(json.loads(expected))

    async def ask():
        return [await chunks(make(), size) for _ in range(4)]

    for parts in run(ask):
        assert b"".join(parts) == expected
        # One that is full may not be the last.
        assert len(parts) == rows // size + 1
    with override_settings(TURBO_ORM={"QUERY_CACHE": False}):
        assert b"".join(run(lambda: chunks(make(), size))) == expected


@pytest.mark.parametrize("case", [*NAMED, *RELATED])
def test_nested(case, run):
    make, *nested, _ = NAMED.get(case) or RELATED[case]
    options = {"nested": nested[0] if nested else True}

    async def ask():
        return [b"".join(await chunks(make(), 2, **options)) for _ in range(3)]

    expected = make().json(**options)
    assert run(ask) == [expected] * 3
    with cache_off():
        assert run(ask) == [expected] * 3


def test_results_that_are_there(run):
    queryset = Book.objects.order_by("pk").values("title")

    async def ask():
        await queryset.alist()
        return await chunks(queryset, 2)

    assert run(ask) == [dumps(queryset)]


def test_no_cursors_on_the_server(run, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    make = Book.objects.order_by("pk").values("title").all

    async def ask():
        return [b"".join(await chunks(make(), 2)) for _ in range(3)]

    assert run(ask) == [dumps(make())] * 3


def test_in_a_transaction(scratch, run):
    """It sees what the transaction has written, and other statements run in between."""

    async def ask():
        async with async_atomic():
            for number in range(5):
                await Account.objects.acreate(owner=f"{number}", balance=number)
            rows = Account.objects.order_by("balance").values_list("balance", flat=True)
            parts, counts = [], []
            async with aclosing(rows.ajson_chunks(2)) as found:
                async for part in found:
                    parts.append(part)
                    counts.append(await Account.objects.acount())
            return parts, counts

    for _ in range(2):
        parts, counts = run(ask)
        assert (parts, counts) == ([b"[0, 1", b", 2, 3", b", 4]"], [5, 5, 5])
        Account.objects.all().delete()


def test_one_that_is_left_early(run):
    """The cursor is closed, in a transaction, too."""
    titles = Book.objects.values("title")

    def cursors():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_cursors")
            return cursor.fetchone()[0]

    async def steps():
        for _ in range(3):
            async with async_atomic():
                async with aclosing(titles.ajson_chunks(1)) as parts:
                    assert await anext(parts)
                    assert await bridge.run(cursors) == 1
                assert await bridge.run(cursors) == 0
            parts = titles.ajson_chunks(1)
            assert await anext(parts)
            await parts.aclose()
            assert await anext(parts, None) is None
            assert await bridge.run(cursors) == 0

    run(steps)


def test_what_raises_leaves_the_array_open(scratch, run):
    for number in range(6):
        Account.objects.create(owner=f"{number}", balance=3 - number)
    inverse = Account.objects.annotate(x=Value(6) / F("balance")).values("x")

    begun = []

    async def read():
        # Without a transaction, the server computes all rows before the first is fetched.
        async with async_atomic(), aclosing(inverse.ajson_chunks(2)) as parts:
            begun.append(await anext(parts))
            begun.append(await anext(parts))

    async def ask():
        with pytest.raises(DataError):
            await read()
        return begun.pop()

    for _ in range(3):
        part = run(ask)
        assert (part, begun) == (b'[{"x": 2}, {"x": 3}', [])
        with pytest.raises(ValueError, match="delimiter"):
            json.loads(part)


def test_another_task_has_its_turns(run, monkeypatch):
    monkeypatch.setattr(fetching, "SLICE", 1)
    turns = []

    async def count():
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    async def steps():
        counting = asyncio.create_task(count())
        parts = await chunks(Book.objects.values("title"), 1)
        counting.cancel()
        assert len(turns) > len(parts)

    run(steps)


def test_what_is_refused(run):
    for queryset, size, error in (
        (Book.objects.all(), 10, TypeError),
        (Book.objects.values("title"), 0, ValueError),
    ):
        with pytest.raises(error):
            run(lambda: chunks(queryset, size))  # noqa: B023
    with pytest.raises(TypeError):
        run(lambda: chunks(Author.objects.values_list("name"), nested=True))
