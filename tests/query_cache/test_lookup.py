"""A known structure is served without a query of Django's, and nothing else is."""

import asyncio
import sys
import warnings
from threading import Thread

import pytest
from django.db.models import Count, F, Q
from django.utils import timezone

from tests.library.models import Author, Book, Entry, Sample
from tests.support.answers import fingerprint
from tests.support.counting import counted, python_calls
from tests.support.event_loop import close_connections
from turbo_orm.query_cache import tracing
from turbo_orm.query_cache.cache import cache

pytestmark = [
    pytest.mark.usefixtures("library"),
    pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare"),
]


# Each is asked with three values: the first is learnt from.
HITS = {
    "get": lambda n: Book.objects.aget(pk=n),
    "get of a filter": lambda n: Book.objects.filter(pages__gte=0).aget(pk=n),
    "get of a relation": lambda n: Book.objects.select_related("author").aget(pk=n),
    "first": lambda n: Book.objects.filter(pages__gt=n).afirst(),
    "last": lambda n: Book.objects.filter(pages__gt=n).order_by("title").alast(),
    "count": lambda n: Book.objects.filter(author__name__contains=str(n)).acount(),
    "exists": lambda n: Book.objects.exclude(tags__label=f"tag-{n}").aexists(),
    "list": lambda n: Book.objects.filter(Q(pages=n) | ~Q(pk__in=[n, 7])).order_by("pk").alist(),
    "values": lambda n: Book.objects.filter(pages__range=(0, n)).values("pk", "title").alist(),
    "tuples": lambda n: Book.objects.filter(pages__lt=n).values_list("pk", flat=True).alist(),
    "annotated": lambda n: Author.objects.annotate(n=Count("books")).filter(n__gt=n).alist(),
    "sliced": lambda n: (
        Book.objects.filter(published__month=n).order_by(F("pk").desc())[:3].alist()
    ),
    "of an instance": lambda n: Book.objects.filter(author=Author(pk=n)).distinct().alist(),
    "deferred": lambda n: Book.objects.defer("title").reverse().filter(pk=n).alist(),
    "JSON": lambda n: Sample.objects.filter(data__a__0=n).alist(),
    "update": lambda n: Entry.objects.filter(account__owner=str(n)).aupdate(amount=n),
    # No test leaves such entries: it may find no more the second time.
    "delete": lambda n: Entry.objects.filter(amount=-1000 - n).adelete(),
    "delete of an instance": lambda n: Entry(pk=10**9 + n).adelete(),
}


@pytest.mark.parametrize("case", HITS)
def test_nothing_of_a_query_is_built(case, run):
    ask = HITS[case]

    async def counts():
        await ask(1)
        # Where nothing can match or there are many rows, it is learnt by the next.
        await ask(2)
        with counted() as count:
            answer = fingerprint(await ask(3))
        cache.clear()
        return count, answer, fingerprint(await ask(3))

    cache.clear()
    count, hit, by_django = run(counts)
    assert count == {"made": 0, "compiled": 0}
    assert hit == by_django


def test_another_structure_is_another(run):
    others = [
        lambda: Book.objects.aget(pk="3"),
        lambda: Book.objects.aget(id=3),
        lambda: Book.objects.order_by("pk").aget(pk=3),
        lambda: Book.objects.filter(pages=None).alist(),
        lambda: Book.objects.filter(pk__in=[3]).alist(),
        lambda: Book.objects.filter(pk__in=(3, 4)).alist(),
        lambda: Book.objects.exclude(pk=3).alist(),
        lambda: Book.objects.filter(pk=3)[:2].alist(),
        lambda: Book.objects.filter(pk=3)[1:3].alist(),
        lambda: Book.objects.filter(pk=3)[1:].alist(),
    ]

    async def counts():
        await Book.objects.aget(pk=3)
        for ask in others:
            with counted() as count:
                await ask()
            assert count["made"] >= 1
            with counted() as count:
                await ask()
            assert count == {"made": 0, "compiled": 0}

    cache.clear()
    run(counts)


def test_calls_of_python_functions(run):
    """Measured: 41 with Python 3.13 and Django 6.1, and as many again of the event loop."""

    async def called():
        for _ in range(3):
            await Book.objects.aget(pk=3)
        with python_calls() as calls:
            await Book.objects.aget(pk=3)
        return [each.name for each in calls if each.module.startswith(PACKAGES)]

    found = run(called)
    assert "AsyncQuerySet.aget" in found
    assert len(found) <= 50, found


PACKAGES = ("turbo_orm", "django", "psycopg")


VALUES_THAT_DECIDE = {
    "NULL": [37, None, 38],
    "too large": [37, 2**70, -(2**70), 38],
    "Booleans": [1, True, 0, False],
    "text": [37, "37", "x", 38],
    "another number": [37, 37.0, 37.5, 38],
}


@pytest.mark.parametrize("lookup", ["exact", "gt", "lte"])
@pytest.mark.parametrize("case", VALUES_THAT_DECIDE)
@pytest.mark.parametrize("method", ["filter", "exclude"])
def test_values_that_decide_the_statement(case, lookup, method, chains):
    chains(
        lambda value: getattr(Book.objects, method)(**{f"pages__{lookup}": value}).order_by("pk"),
        *VALUES_THAT_DECIDE[case],
        *reversed(VALUES_THAT_DECIDE[case]),
    )


LISTS = [[37, 74], [37, 37], [None, 37], [None], [], [2**70, 37], ["37", 37], [True, 37], (37, 74)]


@pytest.mark.parametrize("method", ["filter", "exclude"])
def test_lists(method, chains):
    for values in (LISTS, reversed(LISTS)):
        chains(
            lambda value: getattr(Book.objects, method)(pages__in=value).order_by("pk"), *values
        )


ZONES = ["UTC", "Asia/Tokyo", "America/New_York", "UTC"]
IN_A_ZONE = {
    "a year": lambda n: Book.objects.filter(published__year=2000 + n).order_by("pk"),
    "an hour": lambda n: Book.objects.filter(published__hour=12 + n).order_by("pk"),
    "a date": lambda n: Book.objects.filter(published__date__day=n).order_by("pk"),
    "days": lambda n: Book.objects.datetimes("published", "day"),
    "no zone": lambda n: Book.objects.filter(pages__gt=n).order_by("pk"),
}


@pytest.mark.parametrize("case", IN_A_ZONE)
def test_time_zones(case, chains):
    cache.clear()
    for zone in ZONES:
        for day in (1, 2):
            with timezone.override(zone):
                chains(IN_A_ZONE[case], day, afresh=False)


def test_threads():
    """Each has an event loop of its own, and all learn the same at once."""
    cache.clear()
    found, failed = [], []

    async def ask(number):
        try:
            for pages in range(10):
                books = Book.objects.filter(pages__gte=37 * pages, pk__lte=number + 5)
                length = len(await books.order_by("pk").alist())
                assert await books.acount() == length
                found.append((pages, number, length))
        finally:
            await close_connections()

    def work(number):
        try:
            asyncio.run(ask(number))
        except BaseException as exc:
            failed.append(exc)

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for pages, number, length in found:
        assert length == Book.objects.filter(pages__gte=37 * pages, pk__lte=number + 5).count()
    assert len(found) == 60


def test_warnings_are_heard_after_threads():
    """Django warns when a method is called, and not once more when its query is built."""

    def build(number):
        for _ in range(300):
            assert Book.objects.filter(pages=number).order_by("pk").query

    before, interval = [*warnings.filters], sys.getswitchinterval()
    threads = [Thread(target=build, args=(number,)) for number in range(4)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert warnings.filters == before
