"""Rows of compiled queries that arrive in chunks: the same answers, whatever goes wrong."""

import asyncio
import gc

import pytest
from django.db import DataError, connections
from django.db.models import Case, DateTimeField, F, IntegerField, When
from django.db.models.expressions import RawSQL
from django_async_backend.db import async_connections
from psycopg.pq import TransactionStatus

from tests.library.models import Account, Author
from tests.support import arriving
from tests.support.answers import django_answer, turbo_answer
from tests.support.arriving import Asking, Noticed, accounts, slow
from tests.support.clients import Rival
from tests.support.querysets import QUERYSETS
from turbo_orm import async_atomic
from turbo_orm.backend import streaming_cursor
from turbo_orm.backend.handler import process_connection
from turbo_orm.backend.streaming_cursor import StreamingCursor
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.skipif(
    not streaming_cursor.is_possible(), reason="psycopg's libpq hands over no chunks"
)


@pytest.fixture(autouse=True)
def few_rows_at_a_time(monkeypatch):
    # The rows of cached statements arrive otherwise.
    cache.clear()
    monkeypatch.setattr("turbo_orm.execution.fetching.SLICE", 2)
    monkeypatch.setattr("turbo_orm.bridge.Checkpoints.INTERVAL", 0)


@pytest.fixture(autouse=True)
def chunks(monkeypatch):
    """Count what arrives."""
    arrived = []
    pgresults = StreamingCursor.pgresults

    def counted(self):
        for pgresult in pgresults(self):
            arrived.append(pgresult.ntuples)
            yield pgresult

    monkeypatch.setattr(StreamingCursor, "pgresults", counted)
    return arrived


@pytest.mark.parametrize("case", QUERYSETS)
def test_the_same_answers(case, library, run):
    queryset, ours = QUERYSETS[case](), QUERYSETS[case]()
    assert run(lambda: turbo_answer(ours.alist)) == django_answer(lambda: list(queryset))


def test_rows_arrive_in_chunks(library, run, chunks):
    authors = run(Author.objects.alist)
    assert chunks == [2, 2, 2]
    assert authors == list(Author.objects.all())


@pytest.mark.parametrize(("limit", "expected"), [(2, []), (3, [2, 1]), (None, [2, 2, 2])])
def test_what_fits_one_chunk_is_not_streamed(limit, expected, library, run, chunks):
    run(Author.objects.all()[:limit].alist)
    assert chunks == expected


def test_a_result_without_rows(library, run, chunks):
    assert run(Author.objects.filter(name="nobody").alist) == []
    assert chunks == []


# What goes wrong on the way


BAD_ROWS = {
    **arriving.BAD_ROWS,
    "an error of the loader in the first chunk": RawSQL(
        "CASE balance WHEN 1 THEN 'infinity'::timestamptz ELSE '2026-01-01 00:00+00' END",
        [],
        output_field=DateTimeField(),
    ),
}


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_row_that_cannot_be_had(bad, play):
    async def steps(orm):
        await orm.list(Account.objects.annotate(x=BAD_ROWS[bad]).order_by("pk"))

    play(steps, given=accounts, raises=DataError)


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_row_that_cannot_be_had_leaves_the_connection_usable(bad, play):
    async def steps(orm):
        with pytest.raises(DataError):
            await orm.list(Account.objects.annotate(x=BAD_ROWS[bad]).order_by("pk"))
        return await orm.call(Account.objects, "count")

    play(steps, given=accounts)


@pytest.mark.parametrize("value", ["infinity", "0044-03-15 BC"])
def test_a_value_that_python_does_not_have_leaves_the_transaction_usable(value, play):
    """The server knows of no error, so the transaction goes on, whatever is still to arrive."""
    bad = RawSQL(
        f"CASE balance WHEN 0 THEN '{value}'::timestamptz END", [], output_field=DateTimeField()
    )

    async def steps(orm):
        async with orm.atomic():
            await orm.call(Account.objects, "create", owner="new", balance=-1)
            with pytest.raises(DataError):
                await orm.list(Account.objects.annotate(x=slow(0.02), bad=bad).order_by("pk"))
            return await orm.call(Account.objects, "count")

    play(steps, given=accounts)


@pytest.mark.parametrize("in_a_transaction", [True, False])
def test_cancelled_while_rows_arrive(in_a_transaction, scratch, run, chunks):
    accounts(10)
    queryset = Account.objects.annotate(x=slow(0.04)).order_by("pk")

    async def ask():
        async with asyncio.timeout(0.2):
            await queryset.alist()

    async def steps():
        await Account.objects.acount()
        driver = async_connections["default"].connection
        with pytest.raises(TimeoutError):
            await (async_atomic(ask) if in_a_transaction else ask)()
        assert 0 < len(chunks) < 5
        assert not watch.sees_running("pg_sleep")
        assert driver.info.transaction_status is TransactionStatus.IDLE
        assert await Account.objects.acount() == 10
        assert async_connections["default"].connection is driver

    with Rival() as watch:
        run(steps)


def test_other_tasks_run_while_rows_arrive(scratch, run):
    accounts()
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    async def steps():
        counting = asyncio.create_task(count_turns())
        await Account.objects.annotate(x=slow(0.02)).alist()
        counting.cancel()

    run(steps)
    assert turns > 3


def test_the_collector_is_not_held_off_while_rows_are_waited_for(scratch, run):
    """Other tasks make garbage meanwhile."""
    accounts()
    seen = []

    async def look():
        while True:
            seen.append(gc.isenabled())
            await asyncio.sleep(0.005)

    async def steps():
        looking = asyncio.create_task(look())
        await Account.objects.annotate(x=slow(0.02)).alist()
        looking.cancel()

    run(steps)
    assert gc.isenabled()
    assert all(seen)


def test_the_collector_is_not_held_off_while_a_models_own_code_waits(scratch, run):
    accounts(2)
    seen = []

    class Slow(IntegerField):
        def from_db_value(self, value, expression, connection):
            Account.objects.annotate(x=slow(0.02)).first()
            return value

    async def look():
        while True:
            seen.append(gc.isenabled())
            await asyncio.sleep(0.005)

    async def steps():
        looking = asyncio.create_task(look())
        await Account.objects.annotate(y=Case(When(pk__gt=0, then=1), output_field=Slow())).alist()
        looking.cancel()

    run(steps)
    assert gc.isenabled()
    assert len(seen) > 5
    assert all(seen)


def test_a_from_db_that_queries(play):
    async def steps(orm):
        found = await orm.list(Noticed.objects.order_by("pk"))
        return [account.others for account in found]

    play(steps, given=accounts)


def test_a_converter_that_queries(play):
    async def steps(orm):
        asking = Account.objects.annotate(
            x=Case(When(pk__gt=0, then=F("balance")), output_field=Asking())
        )
        return await orm.list(asking.order_by("pk").values_list("x", flat=True))

    assert play(steps, given=accounts)["returned"][2][0] == (int, 6)


def test_bindings_on_the_server_are_not_streamed(library, run, chunks, monkeypatch):
    ours = Author.objects.filter(name__gt="B").values_list("name", flat=True)
    expected = list(ours.all())
    options = connections["default"].settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "server_side_binding", True)
    process_connection.cache_clear()
    try:
        assert run(ours.alist) == expected
    finally:
        process_connection.cache_clear()
    assert chunks == []
    assert len(expected) > 2
