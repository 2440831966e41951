"""Every way of reading, against Django's answer: values, types, state, statements, exceptions."""

import asyncio
import inspect
import pickle
from contextlib import aclosing, suppress
from unittest import mock

import django
import pytest
from django.contrib.postgres.aggregates import ArrayAgg
from django.core.exceptions import FieldError, SynchronousOnlyOperation
from django.db import connection, connections
from django.db import models as django_models
from django.db.models import (
    Avg,
    Count,
    Max,
    Q,
    QuerySet,
    Sum,
)
from django.db.models.query import ModelIterable
from django.test.utils import CaptureQueriesContext

from tests.library.fields import Language
from tests.library.models import (
    Author,
    Book,
    Order,
    Sample,
    Tag,
)
from tests.support.answers import (
    django_answer,
    django_hydrates,
    fingerprint,
    sync_answer,
    turbo_answer,
)
from tests.support.querysets import BOOKS, QUERYSETS
from turbo_orm import AsyncQuerySet, async_atomic, bridge, cache_info
from turbo_orm.backend.handler import process_connection

pytestmark = pytest.mark.usefixtures("library")


@pytest.fixture(params=QUERYSETS)
def make(request):
    """A function that makes a queryset: each contender gets its own, with an empty cache."""
    return QUERYSETS[request.param]


def test_alist(make, run):
    queryset, ours = make(), make()
    assert run(lambda: turbo_answer(ours.alist)) == django_answer(lambda: list(queryset))
    assert ours._result_cache is not None


def test_async_for(make, run):
    queryset, ours = make(), make()

    async def loop():
        return [result async for result in ours]

    assert run(lambda: turbo_answer(loop)) == django_answer(lambda: list(queryset))


def test_aiterator(make, run):
    """Asked for three times: a miss, the same queryset once more, and a hit."""
    queryset, ours = make(), make()
    expected = django_answer(lambda: list(queryset.iterator(chunk_size=4)))
    for queryset in (ours, ours, make()):

        async def loop(queryset=queryset):
            async with aclosing(queryset.aiterator(chunk_size=4)) as results:
                return [result async for result in results]

        answer = run(lambda loop=loop: turbo_answer(loop))
        assert answer.get("returned") == expected.get("returned")
        assert answer.get("raised") == expected.get("raised")
        assert queryset._result_cache is None


def test_aiterator_by_a_cached_statement(run):
    def books(pages):
        return Book.objects.filter(pages__gt=pages).order_by("pk").select_related("author")

    def selected(captured):
        # Each cursor has a name of its own.
        return [query["sql"].partition(" FOR ")[2] for query in captured]

    async def iterate(pages):
        with CaptureQueriesContext(connection) as captured:
            found = [fingerprint(book) async for book in books(pages).aiterator(chunk_size=3)]
        return found, selected(captured)

    for _ in range(2):
        run(lambda: iterate(0))
    before = cache_info()
    answer = run(lambda: iterate(100))
    after = cache_info()
    with CaptureQueriesContext(connection) as captured:
        expected = [fingerprint(book) for book in books(100).iterator(chunk_size=3)]
    assert answer == (expected, selected(captured))
    assert after.hits == before.hits + 1
    assert (after.misses, after.bypasses) == (before.misses, before.bypasses)


def test_the_native_core_serves_sync_code_too(make):
    queryset, ours = make(), make()
    expected = django_answer(lambda: list(queryset))
    with CaptureQueriesContext(connections["default"]) as captured:
        assert fingerprint(list(ours)) == expected["returned"]
    assert [query["sql"] for query in captured.captured_queries] == expected["statements"]


BOOK_OF_2003 = Q(published__year=2003)

# What is asked of a queryset, by the name of Django's sync method: arguments, and the queryset.
QUESTIONS = [
    ("get", BOOKS, [], {"title": "Book 3"}),
    ("get", BOOKS, [BOOK_OF_2003], {}),
    ("get", BOOKS, [], {"title": "no such book"}),
    ("get", BOOKS, [], {"pages__gte": 0}),
    ("get", BOOKS, [], {"no_such_field": 1}),
    ("get", BOOKS.values("title"), [], {"title": "Book 3"}),
    ("get", BOOKS.union(BOOKS), [], {"title": "x"}),
    ("first", BOOKS, [], {}),
    ("first", Book.objects.all(), [], {}),
    ("first", BOOKS.none(), [], {}),
    ("first", Book.objects.values("author").annotate(n=Count("pk")), [], {}),
    ("last", BOOKS, [], {}),
    ("last", Book.objects.all(), [], {}),
    ("last", BOOKS[:3], [], {}),
    ("earliest", Book.objects.exclude(published=None), [], {}),
    ("earliest", BOOKS, ["pages", "pk"], {}),
    ("earliest", Author.objects.all(), [], {}),
    ("latest", Book.objects.exclude(published=None), [], {}),
    ("latest", BOOKS.none(), ["pages"], {}),
    ("count", BOOKS, [], {}),
    ("count", BOOKS[5:9], [], {}),
    ("count", BOOKS.none(), [], {}),
    ("count", Author.objects.annotate(n=Count("books")).filter(n__gt=1), [], {}),
    ("count", BOOKS.values("author").distinct(), [], {}),
    ("exists", BOOKS, [], {}),
    ("exists", BOOKS.filter(pages=-1), [], {}),
    ("exists", BOOKS.none(), [], {}),
    ("aggregate", BOOKS, [Sum("pages"), Avg("pages")], {"n": Count("tags", distinct=True)}),
    ("aggregate", BOOKS.none(), [], {"n": Count("pk"), "most": Max("pages")}),
    ("aggregate", BOOKS[:5], [], {"most": Max("pages")}),
    ("aggregate", BOOKS, ["pages"], {}),
    ("in_bulk", Author.objects.all(), [], {}),
    ("in_bulk", Author.objects.all(), [[1, 2, 99]], {}),
    ("in_bulk", Author.objects.all(), [[]], {}),
    ("in_bulk", Tag.objects.all(), [["tag-1", "tag-2"]], {"field_name": "label"}),
    ("in_bulk", Author.objects.all(), [["x"]], {"field_name": "name"}),
    ("in_bulk", Language.objects.all(), [["en", "ü", ""]], {}),
    ("in_bulk", Language.objects.all(), [["en-speak"]], {"field_name": "name"}),
    ("in_bulk", Order.objects.all(), [[(0, 2), (1, 1), (7, 7)]], {}),
    ("in_bulk", BOOKS.select_related("author").only("author__name"), [[3, 1]], {}),
    ("in_bulk", BOOKS[:3], [], {}),
    ("aggregate", Sample.objects.all(), [Sum("span"), Max("moment"), Avg("amount")], {}),
    ("aggregate", Author.objects.all(), [ArrayAgg("born", order_by="pk")], {}),
    ("explain", BOOKS, [], {}),
    ("explain", BOOKS, [], {"format": "json"}),
    ("explain", BOOKS, [], {"format": "no such format"}),
]


@pytest.mark.parametrize(("method", "queryset", "args", "kwargs"), QUESTIONS)
def test_question(method, queryset, args, kwargs, run):
    expected = django_answer(lambda: getattr(queryset.all(), method)(*args, **kwargs))
    asked = getattr(queryset.all(), f"a{method}")
    assert run(lambda: turbo_answer(lambda: asked(*args, **kwargs))) == expected


def test_acontains(run):
    inside, outside = Book.objects.get(title="Book 1"), Book.objects.get(title="Book 2")
    for book in (inside, outside, Book()):
        queryset = BOOKS.filter(title="Book 1")
        expected = django_answer(lambda: queryset.contains(book))  # noqa: B023
        assert run(lambda: turbo_answer(lambda: queryset.acontains(book))) == expected  # noqa: B023


def test_every_async_method_of_django_is_ours():
    """A method that a later Django adds is a thread hop until it is bridged here."""
    for name, method in inspect.getmembers(QuerySet, inspect.isfunction):
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            assert getattr(AsyncQuerySet, name).__module__ == "turbo_orm.orm.queryset", name


EVALUATIONS = {
    "length": lambda queryset: len(queryset),
    "truth": lambda queryset: bool(queryset),
    "an item": lambda queryset: queryset[2],
    "a slice with a step": lambda queryset: queryset[1:6:2],
    "a slice of a slice": lambda queryset: list(queryset[3:9][1:3]),
    "representation": lambda queryset: repr(queryset),
    "membership": lambda queryset: Book(pk=3) in queryset,
    "both": lambda queryset: [*(queryset & BOOKS.filter(pages__gt=100)), *(queryset | BOOKS)],
    "pickled": lambda queryset: list(pickle.loads(pickle.dumps(queryset))),
}


@pytest.mark.parametrize("case", EVALUATIONS)
def test_what_evaluates_a_queryset(case, run):
    def answer():
        return EVALUATIONS[case](BOOKS.filter(pages__lt=400))

    expected = django_answer(answer)
    assert sync_answer(answer) == expected
    assert run(lambda: turbo_answer(lambda: bridge.run(answer))) == expected
    assert "returned" in expected


@pytest.mark.parametrize("case", EVALUATIONS)
def test_a_queryset_with_its_results_is_used_in_the_event_loop(case, run):
    async def use():
        queryset = BOOKS.filter(pages__lt=400)
        await queryset.alist()
        # A combination is another queryset, without results.
        if case != "both":
            return fingerprint(EVALUATIONS[case](queryset))
        with pytest.raises(SynchronousOnlyOperation):
            EVALUATIONS[case](queryset)

    expected = fingerprint(EVALUATIONS[case](BOOKS.filter(pages__lt=400)))
    assert run(use) in (expected, None)


def test_results_are_asked_for_once(run):
    queryset = BOOKS.all()

    async def ask():
        first = await queryset.alist()
        assert await queryset.acount() == len(first)
        assert await queryset.aexists()
        assert [book async for book in queryset] == first
        assert await queryset.alist() is not queryset._result_cache
        return first

    assert len(run(lambda: turbo_answer(ask))["statements"]) == 1


RAW = [
    ("SELECT * FROM library_book ORDER BY id", (), None),
    ("SELECT id, title FROM library_book WHERE pages > %s ORDER BY id", [100], None),
    ("SELECT id, title AS heading, pages * 2 AS d FROM library_book", (), {"heading": "title"}),
    ("SELECT title FROM library_book", (), None),
    ("SELECT * FROM no_such_table", (), None),
]


@pytest.mark.parametrize(("statement", "params", "translations"), RAW)
def test_raw(statement, params, translations, run):
    expected = django_answer(lambda: list(Book.objects.raw(statement, params, translations)))
    ours = Book.objects.raw(statement, params, translations)

    async def loop():
        return [book async for book in ours]

    assert run(lambda: turbo_answer(loop)) == expected


def test_raw_prefetches_and_uses_another_database(run):
    def raw():
        return Author.objects.raw("SELECT * FROM library_author ORDER BY id")

    expected = django_answer(lambda: list(raw().prefetch_related("books")))
    ours = raw().prefetch_related("books")
    assert run(lambda: turbo_answer(ours.alist)) == expected
    elsewhere = raw().using("other")
    assert run(elsewhere.alist) == []
    assert elsewhere.db == "other"


@pytest.mark.parametrize("make", [list, iter])
def test_in_bulk_asks_for_as_many_keys_as_a_statement_may_have(library, run, make):
    """PostgreSQL binds 65,535 parameters, where the server binds them."""
    keys = [*Author.objects.values_list("pk", flat=True)]
    process = process_connection("default").features
    with (
        mock.patch.dict(vars(connection.features), max_query_params=2),
        mock.patch.dict(vars(process), max_query_params=2),
    ):
        expected = django_answer(lambda: Author.objects.in_bulk(make(keys)))
        ours = run(lambda: turbo_answer(lambda: Author.objects.ain_bulk(make(keys))))
    assert ours == expected
    assert len(expected["statements"]) == 3


@pytest.mark.skipif(django.VERSION < (6, 1), reason="in_bulk() asks the feature alone")
@pytest.mark.parametrize("make", [list, iter])
def test_in_bulk_asks_for_as_many_keys_as_the_engine_says(library, run, make):
    keys = [*Author.objects.values_list("pk", flat=True)]
    process = process_connection("default").ops
    with (
        mock.patch.object(connection.ops, "bulk_batch_size", return_value=2),
        mock.patch.object(process, "bulk_batch_size", return_value=2),
    ):
        expected = django_answer(lambda: Author.objects.in_bulk(make(keys)))
        ours = run(lambda: turbo_answer(lambda: Author.objects.ain_bulk(make(keys))))
    assert ours == expected
    assert len(expected["statements"]) == 3


def test_in_a_slice_of_rows_at_a_time(run, monkeypatch):
    """The event loop gets a turn between slices, and the rows stay in order."""
    monkeypatch.setattr("turbo_orm.execution.fetching.SLICE", 7)
    monkeypatch.setattr("turbo_orm.bridge.Checkpoints.INTERVAL", 0)
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def ask():
        counting = asyncio.create_task(count_turns())
        # BOOKS itself may have been evaluated before.
        await BOOKS.all().acount()
        before = turns
        books = await BOOKS.all().alist()
        counting.cancel()
        assert turns - before >= 4
        return books

    assert run(ask) == list(BOOKS.all())


def test_sync_evaluation_in_the_event_loop_says_what_to_do_instead(run):
    async def evaluate():
        list(BOOKS.all())

    with pytest.raises(SynchronousOnlyOperation, match=r"alist\(\).*async for"):
        run(evaluate)


def test_a_field_that_does_not_exist_raises_at_filter():
    with pytest.raises(FieldError):
        Book.objects.filter(no_such_field=1)


def test_aiterator_wants_a_chunk_size(run):
    async def iterate():
        return [book async for book in BOOKS.aiterator(chunk_size=0)]

    with pytest.raises(ValueError, match="strictly positive"):
        run(iterate)


def test_a_left_aiterator_closes_its_cursor(run):
    async def leave():
        async with async_atomic(), aclosing(BOOKS.aiterator(chunk_size=2)) as books:
            async for _ in books:
                break
            await books.aclose()
            return await bridge.run(open_cursors)

    def open_cursors():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_cursors")
            return cursor.fetchone()[0]

    assert run(leave) == 0


def test_an_iterator_may_outlive_its_savepoint(run):
    """The server has closed its cursor: to close it once more would break the transaction."""

    async def leave_late():
        books = BOOKS.aiterator(chunk_size=2)
        async with async_atomic():
            with suppress(LookupError):
                async with async_atomic():
                    await anext(books)
                    raise LookupError
            await books.aclose()
            return await BOOKS.acount()

    assert run(leave_late) == BOOKS.count()


def test_without_server_side_cursors(run, monkeypatch):
    monkeypatch.setitem(connections["default"].settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)

    async def iterate():
        return [book async for book in BOOKS.aiterator(chunk_size=4)]

    assert run(iterate) == list(BOOKS)


def test_an_iterable_class_of_ones_own(run):
    class Titles(ModelIterable):
        def __iter__(self):
            return (book.title for book in super().__iter__())

    queryset = BOOKS.all()
    queryset._iterable_class = Titles
    assert run(queryset.all().alist) == list(BOOKS.values_list("title", flat=True))

    async def iterate():
        return [title async for title in queryset.aiterator(chunk_size=4)]

    assert run(iterate) == list(BOOKS.values_list("title", flat=True))


@pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes came with 6.1")
@pytest.mark.parametrize("mode", ["FETCH_ONE", "FETCH_PEERS", "RAISE"])
def test_fetch_modes(mode, run):
    mode = getattr(django_models, mode, None) or getattr(django_models, f"FETCH_{mode}")
    queryset = BOOKS.fetch_mode(mode).select_related("author")
    expected = django_answer(lambda: list(queryset.all()))
    assert run(lambda: turbo_answer(queryset.all().alist)) == expected
    if mode.track_peers:
        first, *rest = run(queryset.all().alist)
        assert [peer() for peer in first._state.peers] == [first, *rest]


def test_pickling(run):
    queryset = BOOKS.select_related("author").prefetch_related("tags")
    with django_hydrates():
        expected = fingerprint(pickle.loads(pickle.dumps(list(queryset.all()))))
    assert fingerprint(pickle.loads(pickle.dumps(run(queryset.alist)))) == expected
    assert fingerprint(list(pickle.loads(pickle.dumps(queryset)))) == expected
    unevaluated = BOOKS.filter(pages__gt=100)
    copy = BOOKS.all()
    copy.query = pickle.loads(pickle.dumps(unevaluated.query))
    assert run(copy.alist) == list(unevaluated)
