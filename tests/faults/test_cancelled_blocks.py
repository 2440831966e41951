"""Blocks, iterators and hooks, cancelled at each of their switches to the event loop."""

import asyncio
from contextlib import aclosing

import pytest
from django.db import connections, transaction

from tests.faults.trial import Trial
from tests.library.models import Account
from tests.support.cancellation import at_once, too_late
from turbo_orm import async_atomic, async_connection, run_sync
from turbo_orm.backend.task_connections import async_connections

ALIASES = ["default", "pooled"]
WAYS = [at_once, too_late]


def accounts(alias):
    return Account.objects.using(alias)


async def copy(alias):
    """Have the server receive rows, in one statement."""
    statement = "COPY library_account (owner, balance) FROM STDIN"
    async with (
        async_connection(alias) as held,
        held.connection.cursor() as cursor,
        cursor.copy(statement) as rows,
    ):
        for number in range(3):
            await rows.write_row([f"copied {number}", number])
            await asyncio.sleep(0)


async def copy_out(alias):
    """Receive rows, and write one when all are there."""
    async with (
        async_connection(alias) as held,
        held.connection.cursor() as cursor,
        cursor.copy("COPY library_account TO STDOUT") as rows,
    ):
        found = [row async for row in rows]
    await accounts(alias).acreate(owner="copied", balance=len(found))


async def copy_in_a_transaction(alias):
    async with async_atomic(alias):
        await accounts(alias).acreate(owner="before")
        await copy(alias)


async def a_session(alias):
    def change():
        with connections[alias].cursor() as cursor:
            cursor.execute("SET work_mem = '77MB'")
            cursor.execute("SELECT pg_advisory_lock(77)")

    async with async_connection(alias):
        await run_sync(change)
        async with async_atomic(alias):
            await accounts(alias).acreate(owner="held")


async def a_closed_iterator(alias):
    """Leave an iterator after each of its rows, and write when it is closed."""
    for wanted in range(4):
        async with aclosing(accounts(alias).order_by("pk").aiterator(chunk_size=2)) as found:
            async for _ in found:
                if not wanted:
                    break
                wanted -= 1
    await accounts(alias).acreate(owner="closed")


async def gathered(alias):
    await asyncio.gather(accounts(alias).acount(), accounts(alias).alist())
    await accounts(alias).acreate(owner="gathered")


PLAYED = [copy, copy_out, copy_in_a_transaction, a_session, a_closed_iterator, gathered]


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("played", PLAYED, ids=lambda played: played.__name__)
def test_all_or_nothing_is_written(played, alias, snapshot, run):
    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(lambda: played(alias))
        assert done != snapshot.kept
        for way in WAYS:
            found = await trial.cancel_everywhere(lambda: played(alias), way=way, anew=True)
            assert found[-1] == done
            assert [left for left in found if left not in (snapshot.kept, done)] == []
        return trial.cancellations

    assert run(steps) >= 4


@pytest.mark.parametrize("alias", ALIASES)
def test_what_is_committed_stays_where_its_hook_is_cancelled(alias, snapshot, run):
    async def hook():
        await accounts(alias).acreate(owner="by the hook")

    async def play():
        async with async_atomic(alias):
            await accounts(alias).acreate(owner="committed")
            transaction.on_commit(hook, using=alias)

    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(play)
        outcomes = []
        for way in WAYS:
            outcomes += await trial.cancel_everywhere(play, way=way, anew=True)
        written = [
            sum(("committed" in row) + ("by the hook" in row) for row in left["library_account"])
            for left in outcomes
        ]
        assert outcomes[-1] == done
        # Nothing, what was committed, or both: in no order but this.
        assert {0, 2} <= {*written} <= {0, 1, 2}
        return [
            left
            for left in outcomes
            if any("by the hook" in row for row in left["library_account"])
            and not any("committed" in row for row in left["library_account"])
        ]

    assert run(steps) == []


def test_waiting_for_a_connection_of_the_pool(snapshot, run):
    """A task that waits for one and is cancelled takes none with it."""

    async def hold(held, ended):
        async with async_atomic("pooled"):
            held.release()
            await ended.wait()

    async def play():
        await accounts("pooled").acreate(owner="waited")

    async def steps():
        size = async_connections["pooled"].pool.max_size
        ended, held = asyncio.Event(), asyncio.Semaphore(0)
        holders = [asyncio.create_task(hold(held, ended)) for _ in range(size)]
        for _ in holders:
            await held.acquire()
        tasks = [asyncio.create_task(play()) for _ in range(10)]
        for turns in range(10):
            for _ in range(turns):
                await asyncio.sleep(0)
            tasks[turns].cancel()
        ended.set()
        results = await asyncio.gather(*tasks, *holders, return_exceptions=True)
        assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 10
        assert await Trial("pooled", snapshot).end("waiting") == snapshot.kept

    run(lambda: asyncio.create_task(steps()))
