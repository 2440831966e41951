"""What is asked for once is compiled by Django, as ever, and nothing else is done."""

import pytest
from django.db.models import F, Value

from tests.library.models import Book, Entry, Tag
from tests.support.counting import counted
from turbo_orm import cache_info
from turbo_orm.query_cache import tracing
from turbo_orm.query_cache.cache import cache

pytestmark = [
    pytest.mark.usefixtures("library"),
    pytest.mark.skipif(tracing.VERIFIES, reason="Each is recorded at once, to compare"),
]


@pytest.fixture(autouse=True)
def second_sight(run, empty_cache):
    # Nothing is traced before the server's version is known.
    for _ in range(2):
        run(lambda: Tag.objects.filter(pk=-1).acount())
    cache.clear()
    cache.records_at_once = False
    yield
    cache.records_at_once = True


ASKED = {
    "all": lambda n: Book.objects.alist(),
    "count": lambda n: Book.objects.acount(),
    "get": lambda n: Book.objects.aget(pk=n),
    "filter": lambda n: Book.objects.filter(pages__gte=n).order_by("pk").alist(),
    "exists": lambda n: Book.objects.filter(pages__gte=n).aexists(),
    "first": lambda n: Book.objects.filter(pages__gte=n).afirst(),
    "annotated": lambda n: Book.objects.annotate(n=F("pages") + 1).values("n").alist(),
}


@pytest.mark.parametrize("case", ASKED)
def test_nothing_more_is_compiled_at_first_sight(run, case):
    async def asked():
        with counted() as count:
            await ASKED[case](1)
        return count

    cache.is_enabled = False
    by_django = run(asked)
    # Settles what classes that were made meanwhile have suspended.
    cache.configure()
    first = run(asked)
    assert first["compiled"] == by_django["compiled"] == 1
    # Django's query of each filter is made of a copy.
    assert first["made"] <= by_django["made"] + 2
    run(asked)
    assert run(asked) == {"made": 0, "compiled": 0}


def test_saves(run):
    async def hits():
        tag = Tag(label="second sight")
        with counted() as count:
            await tag.asave()
        await tag.adelete()
        return count["made"]

    assert [run(hits) > 0 for _ in range(3)] == [True, True, False]


def test_updates(run):
    async def compiled(n):
        with counted() as count:
            await Entry.objects.filter(amount=-n).aupdate(amount=n)
        return count["compiled"]

    run(lambda: compiled(1))
    run(lambda: compiled(2))
    assert run(lambda: compiled(3)) == 0


def test_what_is_seen_once_takes_little_and_is_forgotten(run):
    async def once():
        for n in range(1_200):
            await Book.objects.annotate(**{f"n{n}": Value("x")}).aexists()

    before = len(cache)
    run(once)
    assert len(cache) - before <= 1
    assert cache.bytes < 1_000_000
    entry = Book.objects.all()._cached.entry
    assert 0 < len(entry.seen) <= 1_000
    # All that it takes is counted, and given back.
    cache.clear()
    assert (cache.bytes, cache_info().entries) == (0, 0)
