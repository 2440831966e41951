"""Sync terminals on the bridge: Django's answers, by cached statements."""

from unittest import mock

import pytest
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.test.utils import CaptureQueriesContext

from tests.library.models import Account, Author, Book
from tests.support.answers import fingerprint
from turbo_orm import AsyncQuerySet, cache_info, run_sync
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.usefixtures("library")

READS = {
    "get": lambda: Author.objects.get(name="Ada"),
    "get of a filter": lambda: Author.objects.filter(name="Ada").get(),
    "get of none": lambda: Author.objects.get(name="none"),
    "get of several": lambda: Author.objects.get(pk__gt=0),
    "get of what is no field": lambda: Author.objects.get(nothing=1),
    "get of a slice": lambda: Author.objects.all()[:1].get(pk=1),
    "get with a join": lambda: Book.objects.select_related("author").get(pk=3).author,
    "first": lambda: Author.objects.order_by("-name").first(),
    "first of none": lambda: Author.objects.filter(name="none").first(),
    "last": lambda: Author.objects.last(),
    "count": lambda: Author.objects.filter(name__startswith="A").count(),
    "count of a slice": lambda: Author.objects.all()[:2].count(),
    "exists": lambda: Author.objects.filter(name="Ada").exists(),
    "list": lambda: list(Author.objects.order_by("pk")),
    "loop": lambda: [author.name for author in Author.objects.order_by("pk")],
    "length": lambda: len(Author.objects.filter(pk__in=[1, 2])),
    "index": lambda: Author.objects.order_by("pk")[1],
    "values": lambda: list(Author.objects.values("pk", "name").order_by("pk")),
    "flat values": lambda: list(Author.objects.values_list("name", flat=True).order_by("pk")),
    "prefetch": lambda: [
        list(author.books.all()) for author in Author.objects.prefetch_related("books")
    ],
    "related": lambda: list(Author.objects.get(name="Ada").books.order_by("pk")),
    "twice": lambda: (
        [list(found), list(found)] if (found := Author.objects.order_by("pk")) else None
    ),
    "then its query": lambda: (
        len(found := Author.objects.filter(pk__gt=1)),
        str(found.query),
        found.filter(pk__lt=3).count(),
    ),
}


def answer(ask):
    with CaptureQueriesContext(connection) as captured:
        try:
            returned = fingerprint(ask())
        except Exception as exc:
            returned = type(exc), str(exc)
    return returned, [query["sql"] for query in captured]


@pytest.mark.parametrize("case", READS)
def test_reading(case, run):
    async def steps():
        before = cache_info().hits
        found = [await run_sync(answer, READS[case]) for _ in range(4)]
        try:
            returned = fingerprint(await run_sync(READS[case]))
        except Exception as exc:
            returned = type(exc), str(exc)
        return [*found, (returned, found[0][1])], cache_info().hits - before

    expected = answer(READS[case])
    cache.clear()
    found, hits = run(steps)
    assert found == [expected] * 5
    # Django takes an item by changing the query.
    if case not in {"get of what is no field", "get of a slice", "index"}:
        assert hits >= 1


def test_what_is_traced_on_the_bridge_serves_async_code_and_the_other_way_round(run):
    async def steps():
        for _ in range(3):
            await run_sync(Author.objects.get, name="Ada")
        before = cache_info().hits
        await Author.objects.aget(name="Ada")
        await run_sync(Author.objects.get, name="Bo")
        return cache_info().hits - before

    cache.clear()
    assert run(steps) == 2


class Noting(AsyncQuerySet):
    """Overrides terminals, and notes what they are called with."""

    called = []

    def get(self, *args, **kwargs):
        self.called.append((args, kwargs))
        return super().get(*args, **kwargs)

    async def aget(self, *args, **kwargs):
        self.called.append((args, kwargs))
        return await super().aget(*args, **kwargs)


def test_what_overrides_get_is_called_once(run):
    async def steps():
        found = []
        for _ in range(3):
            await run_sync(Noting(Author).get, name="Ada")
            found.append(Noting.called[:])
            Noting.called.clear()
        return found

    cache.clear()
    Noting.called.clear()
    assert run(steps) == [[((), {"name": "Ada"})]] * 3


def test_what_overrides_aget_alone_is_called_once(run, monkeypatch):
    monkeypatch.delattr(Noting, "get")

    async def steps():
        found = []
        for _ in range(3):
            await Noting(Author).aget(name="Ada")
            found.append(Noting.called[:])
            Noting.called.clear()
        return found

    cache.clear()
    Noting.called.clear()
    assert run(steps) == [[((), {"name": "Ada"})]] * 3


def test_a_mock_of_get_is_called_with_the_arguments(run):
    def get():
        with mock.patch.object(QuerySet, "get", return_value=5) as replaced:
            return Author.objects.get(name="Ada"), replaced.mock_calls

    async def steps():
        for _ in range(3):
            await run_sync(Author.objects.get, name="Ada")
        return await run_sync(get)

    assert run(steps) == (5, [mock.call(name="Ada")])


@pytest.mark.usefixtures("scratch")
def test_writing(run):
    def change():
        with transaction.atomic():
            rows = Account.objects.filter(owner="Ada").update(balance=F("balance") + 1)
            locked = Account.objects.select_for_update().get(owner="Ada")
        return rows, locked.balance, Account.objects.filter(balance__lt=0).update(balance=0)

    async def steps():
        await Account.objects.acreate(owner="Ada", balance=1)
        return [await run_sync(change) for _ in range(4)]

    assert run(steps) == [(1, balance, 0) for balance in (2, 3, 4, 5)]


def test_in_plain_sync_code_they_are_djangos():
    cache.clear()
    before = cache_info()
    for _ in range(4):
        Author.objects.get(name="Ada")
        list(Author.objects.order_by("pk"))
    after = cache_info()
    assert (after.hits, after.misses, after.bypasses) == (
        before.hits,
        before.misses,
        before.bypasses,
    )
