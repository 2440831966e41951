"""The pages of a list are one structure, whatever their bounds, and Django's all the same."""

import pytest
from django.core.paginator import Paginator
from django.db.models import Count, F, Value

from tests.library.models import Author, Book
from tests.support.chains import Chains
from tests.support.counting import counted
from turbo_orm import explain_cache
from turbo_orm.query_cache import tracing
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.limit_offset import LimitOffset, far, limits

pytestmark = pytest.mark.usefixtures("library")


@pytest.fixture
def chains(library, run):
    return Chains(run)


def books():
    return Book.objects.order_by("pk")


SLICED = {
    "all": lambda k: books()[k],
    "some": lambda k: books().filter(pages__gt=3, title__gt="A")[k],
    "with another": lambda k: books().select_related("author")[k],
    "as tuples": lambda k: books()[k].values_list("pk", "title"),
    "of groups": lambda k: Author.objects.annotate(n=Count("books")).order_by("-n", "pk")[k],
    "with constants": lambda k: books().annotate(x=Value("%s LIMIT 2 %d")).values("x", "pk")[k],
    "with prefetched": lambda k: Author.objects.order_by("pk").prefetch_related("books")[k],
    "distinct": lambda k: books().values("pages").distinct().order_by("pages")[k],
    "of a slice": lambda k: books()[1:9][k],
    "by an expression": lambda k: Book.objects.order_by(F("pages").desc(nulls_last=True), "pk")[k],
}
KINDS = {
    "stops": [slice(3), slice(1), slice(0, 5), slice(30), slice(2)],
    "starts": [slice(2, None), slice(1, None), slice(7, None), slice(99, None)],
    "both": [slice(2, 4), slice(1, 9), slice(4, 5), slice(3, 100), slice(100, 200)],
    "odd": [slice(0, 0), slice(3, 3), slice(4, 2), slice(None), slice(-1), slice(-2, None)],
    "others": [slice(True, None), slice("x"), slice(2.5), slice(2**31)],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SLICED)
def test_slices(name, kind, chains):
    chains(SLICED[name], *KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("terminal", ["aget", "afirst", "alast", "acount", "aexists"])
def test_terminals_of_slices(terminal, kind, chains):
    chains(SLICED["some"], *KINDS[kind], terminal=terminal)


def test_a_large_bound(chains):
    """The server refuses what is no bigint."""
    chains(SLICED["all"], slice(3), slice(2**62), slice(2**64), slice(5))


@pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare")
def test_pages_are_known(run):
    async def steps():
        for page in range(3):
            found = [book.pk async for book in books()[page * 2 : page * 2 + 2]]
            assert found == [page * 2 + 1, page * 2 + 2]
            if page == 0:
                continue
            with counted() as count:
                await books()[page * 3 : page * 3 + 3].alist()
                await books()[page : page + 40].acount()
            if page > 1:
                assert count == {"made": 0, "compiled": 0}

    run(steps)


def test_what_a_slice_is_told_to_be(run):
    def told(k, terminal="alist"):
        return explain_cache(books()[k], terminal)

    async def steps():
        cache.clear()
        await books()[2:5].alist()
        found = told(slice(7, 40))
        assert (found.outcome, found.sql[-18:]) == ("hit", " LIMIT 33 OFFSET 7")
        assert told(slice(9)).outcome == "miss"
        assert "without rows" in told(slice(3, 3)).reason
        assert "sliced" in explain_cache(books()[2:5][:1]).reason
        await books()[2:5].aexists()
        assert told(slice(7, 40), "aexists").reason == "the numbers of the slice decide the SQL"

    run(steps)


def test_the_query_of_a_slice(run):
    async def steps():
        for k in (slice(2, 5), slice(3, 4)):
            queryset = books()[k]
            found = await queryset.alist()
            assert (queryset.query.low_mark, queryset.query.high_mark) == (k.start, k.stop)
            assert len(found) == k.stop - k.start
            assert str(queryset.query).endswith(f"LIMIT {k.stop - k.start} OFFSET {k.start}")

    run(steps)


def test_a_paginator(run):
    """Its pages are sliced by sync code."""
    pages = Paginator(books(), 2)
    assert [[book.pk for book in page] for page in pages][:2] == [[1, 2], [3, 4]]

    async def steps():
        return [await pages.page(number).object_list.alist() for number in (1, 2)]

    pages.count  # noqa: B018 - it is kept
    assert [[book.pk for book in page] for page in run(steps)] == [[1, 2], [3, 4]]


def test_where_the_numbers_are():
    bounds = LimitOffset("SELECT 100%% FROM t WHERE a = %s ", slice(5, 9), " FOR UPDATE OF %s")
    assert bounds.numbers == 2
    assert (
        bounds.template == "SELECT 100%% FROM t WHERE a = %s LIMIT %s OFFSET %s FOR UPDATE OF %s"
    )
    assert bounds.sql(slice(6, 7)).endswith("a = %s LIMIT 1 OFFSET 6 FOR UPDATE OF %s")
    assert bounds.insert(slice(6, 7), ("a", "b")) == ("a", 1, 6, "b")
    assert limits(slice(None, 3)) == "LIMIT 3"
    assert limits(slice(3, None)) == "OFFSET 3"
    assert far(slice(None, 3)).start is None
    assert far(slice(3, None)).stop is None
    assert far(slice(5, 9)).stop - far(slice(5, 9)).start > 10**7
