"""Cached statements whose rows are hydrated while they arrive: the same answers as Django's."""

import asyncio
import json
from functools import partial

import pytest
from django.db import DataError, OperationalError
from django.db.models import Case, F, When
from django.db.models.expressions import RawSQL
from django_async_backend.db import async_connections
from psycopg.pq import TransactionStatus

from tests.library.models import Account, Author, Book
from tests.support.answers import django_answer, turbo_answer
from tests.support.arriving import BAD_ROWS, Asking, Noticed, accounts, slow
from tests.support.clients import Rival
from tests.support.querysets import QUERYSETS
from turbo_orm import async_atomic, async_pipeline, bridge
from turbo_orm.backend import streaming_cursor
from turbo_orm.conf import VERIFIES
from turbo_orm.driver import prepared
from turbo_orm.execution.arriving_rows import ArrivingRows

pytestmark = pytest.mark.skipif(
    not streaming_cursor.is_possible(), reason="psycopg's libpq hands over no chunks"
)

# The last ones are of cached statements, with literals and then prepared.
OFTEN = range(prepared.THRESHOLD + 3)


@pytest.fixture(autouse=True)
def few_rows_at_a_time(monkeypatch):
    monkeypatch.setattr("turbo_orm.execution.fetching.SLICE", 2)
    monkeypatch.setattr("turbo_orm.execution.fetching.CHUNK", 2)
    monkeypatch.setattr("turbo_orm.bridge.Checkpoints.INTERVAL", 0)


@pytest.fixture(autouse=True)
def chunks(monkeypatch):
    """Count what arrives."""
    arrived = []
    receive = ArrivingRows.receive

    def counted(self, context, pgresult):
        arrived.append(pgresult.ntuples)
        receive(self, context, pgresult)

    monkeypatch.setattr(ArrivingRows, "receive", counted)
    return arrived


@pytest.mark.parametrize("case", QUERYSETS)
def test_the_same_answers(case, library, run):
    queryset = QUERYSETS[case]()
    expected = django_answer(lambda: list(queryset))
    for ours in [QUERYSETS[case]() for _ in OFTEN]:
        assert run(partial(turbo_answer, ours.alist)) == expected


@pytest.mark.parametrize("in_a_transaction", [True, False])
def test_rows_arrive_in_chunks(in_a_transaction, library, run, chunks):
    async def ask():
        return await Author.objects.order_by("pk").alist()

    async def steps():
        for _ in OFTEN:
            chunks.clear()
            found = await (async_atomic(ask) if in_a_transaction else ask)()
        return found

    authors = run(steps)
    assert chunks == [2, 2, 2]
    assert authors == list(Author.objects.order_by("pk"))


def test_rows_arrive_in_chunks_where_sync_code_asks(library, run, chunks):
    async def steps():
        for _ in OFTEN:
            chunks.clear()
            found = await bridge.run(lambda: list(Author.objects.order_by("pk")))
        return found

    assert run(steps) == list(Author.objects.order_by("pk"))
    assert chunks == [2, 2, 2]


@pytest.mark.parametrize(("limit", "expected"), [(2, []), (3, [2, 1]), (6, [2, 2, 2])])
def test_what_fits_one_chunk_arrives_as_a_whole(limit, expected, library, run, chunks):
    async def steps():
        for _ in OFTEN:
            chunks.clear()
            await Author.objects.order_by("pk")[:limit].alist()

    run(steps)
    assert chunks == expected


def test_relations_are_set_and_prefetched(library, run, chunks):
    def books():
        return Book.objects.select_related("author").prefetch_related("tags").order_by("pk")

    async def steps():
        for _ in OFTEN:
            found = await books().alist()
        return [(book, book.author, list(book.tags.all())) for book in found]

    assert run(steps) == [(book, book.author, list(book.tags.all())) for book in books()]
    assert chunks


def test_in_a_pipeline_the_result_arrives_as_a_whole(library, run, chunks):
    async def steps():
        for _ in OFTEN:
            await Author.objects.order_by("pk").alist()
        chunks.clear()
        async with async_pipeline():
            both = await asyncio.gather(
                Author.objects.order_by("pk").alist(), Author.objects.order_by("pk").alist()
            )
        return both

    authors = list(Author.objects.order_by("pk"))
    assert run(steps) == [authors, authors]
    assert chunks == []


JSON = {
    "dicts": (Book.objects.order_by("pk").values("title", "author__name", "published"), False),
    "nested dicts": (Book.objects.order_by("pk").values("title", "author__name"), True),
    "arrays": (Book.objects.order_by("pk").values_list("pk", "title"), False),
    "single values": (Author.objects.order_by("pk").values_list("born", flat=True), False),
    "no rows": (Author.objects.filter(pk=-1).values("pk"), False),
}


@pytest.mark.parametrize("case", JSON)
def test_rows_are_written_as_json_while_others_arrive(case, library, run, chunks):
    queryset, nested = JSON[case]

    async def steps():
        for _ in OFTEN:
            chunks.clear()
            found = await queryset.all().ajson(nested=nested)
        return found

    found = run(steps)
    assert found == queryset.all().json(nested=nested)
    assert len(json.loads(found)) == len(queryset.all())
    assert bool(chunks) is (case != "no rows")


def test_a_value_that_has_no_json(library, run):
    from django.contrib.postgres.fields import IntegerRangeField

    ranges = Author.objects.annotate(
        x=RawSQL("int4range(1, 2)", [], output_field=IntegerRangeField())
    )

    async def steps():
        for _ in OFTEN:
            with pytest.raises(TypeError, match="is not JSON serializable"):
                await ranges.order_by("pk").values_list("x").ajson()
        return await Author.objects.order_by("pk").values_list("pk", flat=True).ajson()

    assert json.loads(run(steps)) == [*Author.objects.order_by("pk").values_list("pk", flat=True)]


# What goes wrong on the way


@pytest.mark.parametrize("bad", BAD_ROWS)
@pytest.mark.parametrize("in_a_transaction", [True, False])
def test_a_row_that_cannot_be_had(bad, in_a_transaction, play):
    async def steps(orm):
        async def ask():
            return await orm.list(Account.objects.annotate(x=BAD_ROWS[bad]).order_by("pk"))

        async def ask_in_a_transaction():
            async with orm.atomic():
                return await ask()

        for _ in OFTEN:
            with pytest.raises(DataError):
                await (ask_in_a_transaction if in_a_transaction else ask)()
        return await orm.call(Account.objects, "count")

    play(steps, given=accounts)


def test_a_row_that_cannot_be_had_later_on(scratch, run):
    """The statement was prepared, and some of its rows have arrived: none of them is left."""
    accounts()

    async def ask():
        found = Account.objects.annotate(x=F("balance") / (F("balance") - 9)).order_by("pk")
        return [account.pk for account in await found.alist()]

    async def steps():
        for _ in OFTEN:
            before = await ask()
        await Account.objects.acreate(owner="bad", balance=9)
        with pytest.raises(DataError):
            await ask()
        await Account.objects.filter(owner="bad").adelete()
        assert await ask() == before

    run(steps)


@pytest.mark.parametrize("in_a_transaction", [True, False])
def test_cancelled_while_rows_arrive(in_a_transaction, scratch, run, chunks):
    accounts(10)

    def queryset(seconds):
        return Account.objects.annotate(x=slow(seconds)).order_by("pk")

    async def ask():
        async with asyncio.timeout(0.5):
            await queryset(0.1).alist()

    async def steps():
        for _ in OFTEN:
            await queryset(0.0).alist()
        driver = async_connections["default"].connection
        chunks.clear()
        with pytest.raises(TimeoutError):
            await (async_atomic(ask) if in_a_transaction else ask)()
        assert 0 < len(chunks) < 5
        assert not watch.sees_running("pg_sleep")
        assert driver.info.transaction_status is TransactionStatus.IDLE
        assert await Account.objects.acount() == 10
        assert async_connections["default"].connection is driver

    with Rival() as watch:
        run(steps)


def test_the_session_ends_while_rows_arrive(scratch, run, chunks):
    accounts(10)

    def queryset(seconds):
        return Account.objects.annotate(x=slow(seconds)).order_by("pk")

    async def steps():
        for _ in OFTEN:
            await queryset(0.0).alist()
        pid = async_connections["default"].connection.info.backend_pid
        chunks.clear()
        asyncio.get_running_loop().call_later(0.5, rival.terminate, pid)
        with pytest.raises(OperationalError):
            await queryset(0.1).alist()
        assert 0 < len(chunks) < 5

    with Rival() as rival:
        run(steps)


def test_other_tasks_run_between_two_chunks(library, run, chunks):
    seen = []

    async def look():
        while True:
            seen.append(len(chunks))
            await asyncio.sleep(0)

    async def steps():
        for _ in OFTEN:
            await Author.objects.order_by("pk").alist()
        chunks.clear()
        looking = asyncio.create_task(look())
        await Author.objects.order_by("pk").alist()
        looking.cancel()

    run(steps)
    assert {1, 2} <= set(seen)


def test_a_from_db_that_queries(play):
    async def steps(orm):
        for _ in OFTEN:
            found = await orm.list(Noticed.objects.order_by("pk"))
        return [account.others for account in found]

    play(steps, given=accounts)


def test_a_converter_that_queries(play):
    async def steps(orm):
        for _ in OFTEN:
            asking = Account.objects.annotate(
                x=Case(When(pk__gt=0, then=F("balance")), output_field=Asking())
            )
            found = await orm.list(asking.order_by("pk").values_list("x", flat=True))
        return found

    assert play(steps, given=accounts)["returned"][2][0] == (int, 6)


@pytest.mark.skipif(VERIFIES, reason="Django compiles each statement, too")
def test_many_rows_are_no_reason_to_compile(library, run):
    from turbo_orm import cache_info

    async def steps():
        for _ in OFTEN:
            await Author.objects.order_by("pk").alist()
        before = cache_info()
        await Author.objects.order_by("pk").alist()
        return before, cache_info()

    before, after = run(steps)
    assert after.hits == before.hits + 1
    assert after.bypasses == before.bypasses
