"""Django's cache framework keeps and returns what it does of plain managers."""

import asyncio

import pytest
from django.core.cache import cache
from django.core.exceptions import SynchronousOnlyOperation
from django_async_backend.db import async_connections

from tests.library.models import Account, Author, Book, Restaurant, Sample
from tests.support.answers import django_answer, django_hydrates, fingerprint, turbo_answer
from tests.support.querysets import BOOKS
from turbo_orm import AsyncQuerySet, bridge

pytestmark = pytest.mark.usefixtures("library")


@pytest.fixture(autouse=True)
def _cleared():
    yield
    cache.clear()


QUERYSETS = {
    "instances": lambda: BOOKS.all(),
    "every type": lambda: Sample.objects.order_by("pk"),
    "select_related": lambda: BOOKS.select_related("author__profile", "translator"),
    "prefetch_related": lambda: Author.objects.prefetch_related("books__tags", "profile"),
    "deferred": lambda: BOOKS.defer("title"),
    "of a child": lambda: Restaurant.objects.order_by("pk"),
    "values": lambda: BOOKS.values("title", "author__name"),
    "values_list": lambda: BOOKS.values_list("title", flat=True),
}


def kept(value):
    """Return what the cache gives for a value that it was given."""
    cache.set("key", value)
    return cache.get("key")


@pytest.mark.parametrize("case", QUERYSETS)
def test_results_are_kept(case, run):
    theirs, ours = QUERYSETS[case](), QUERYSETS[case]()
    expected = django_answer(lambda: kept(list(theirs)))

    async def keep():
        return kept(await ours.alist())

    assert run(lambda: turbo_answer(keep)) == expected


@pytest.mark.parametrize("case", QUERYSETS)
def test_querysets_are_kept(case, run):
    """The cache evaluates what is not evaluated."""
    theirs, ours, unevaluated = (QUERYSETS[case]() for _ in range(3))
    expected = django_answer(lambda: kept(theirs))

    async def keep():
        await ours.alist()
        return kept(ours)

    assert run(lambda: turbo_answer(keep)) == expected
    assert run(lambda: turbo_answer(lambda: bridge.run(kept, unevaluated))) == expected


def test_in_the_event_loop_the_cache_cannot_evaluate(run):
    async def keep():
        cache.set("key", BOOKS.all())

    with pytest.raises(SynchronousOnlyOperation, match=r"alist\(\)"):
        run(keep)


def test_the_caches_own_async_methods_keep_what_is_evaluated():
    """They hop to a thread, as Django's do."""

    async def keep():
        books = Book.objects.select_related("author").order_by("pk")
        first = await books.afirst()
        await books.alist()
        await cache.aset_many({"first": first, "all": books})
        first, books = await cache.aget("first"), await cache.aget("all")
        await async_connections["default"].close()
        return first, books

    first, books = asyncio.run(keep())
    with django_hydrates():
        expected = kept(Book.objects.select_related("author").order_by("pk"))
    assert type(books) is AsyncQuerySet
    assert fingerprint(books) == fingerprint(expected)
    assert fingerprint(first) == fingerprint(expected[0])


def test_an_instance_from_the_cache_can_be_saved(scratch, run):
    async def save():
        cache.set("key", await Account.objects.acreate(owner="Ada"))
        account = cache.get("key")
        account.balance += 5
        await account.asave()
        return await Account.objects.values_list("owner", "balance").alist()

    assert run(save) == [("Ada", 5)]
