"""The server goes in the middle of everything, and comes back: nothing is lost, or done twice."""

import asyncio
import time
from contextlib import aclosing, closing, suppress

import psycopg
import pytest
from django.db import OperationalError

from tests.faults.aliases import FAR, far
from tests.faults.outcomes import at_rest, told
from tests.library.models import Account
from tests.support.clients import until
from tests.support.sleeping import sleep
from turbo_orm import async_atomic

LOST = (OperationalError, None)

TERMINATE = (
    b"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    b" WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
SLEEPING = b"SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


@pytest.fixture
def filled(server):
    """Have the server run, and the table hold one row."""
    server.start()
    server.execute("TRUNCATE library_account RESTART IDENTITY")
    server.execute("INSERT INTO library_account (owner, balance) VALUES ('Ada', 1)")
    yield
    # Whatever a test has left it in.
    server.start()
    server.execute("TRUNCATE library_account")


def rows(server):
    return [owner for (owner,) in server.execute("SELECT owner FROM library_account ORDER BY id")]


def accounts(alias):
    return Account.objects.using(alias)


# Each is told when it is under way, and what waits for nothing else, when the server is gone.


async def read(alias, ready, gone):
    ready.release()
    await accounts(alias).annotate(x=sleep(30)).alist()


async def write(alias, ready, gone):
    async with async_atomic(alias):
        await accounts(alias).acreate(owner=f"{alias} never")
        ready.release()
        await accounts(alias).annotate(x=sleep(30)).aget()


async def pause_in_a_transaction(alias, ready, gone):
    async with async_atomic(alias):
        await accounts(alias).acreate(owner=f"{alias} neither")
        ready.release()
        await gone.wait()


async def iterate(alias, ready, gone):
    async with async_atomic(alias), aclosing(accounts(alias).aiterator(chunk_size=1)) as arriving:
        async for _ in arriving:
            ready.release()
            await gone.wait()


UNDER_WAY = [read, write, pause_in_a_transaction, iterate]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_it_goes_while_things_are_under_way(mode, server, filled, run):
    """Whom it served are told so. With a pool, who asks then has an answer when it is back."""

    async def work(function, alias, ready, gone):
        with pytest.raises(OperationalError):
            await function(alias, ready, gone)
        return await accounts(alias).acount()

    async def steps():
        ready, gone = asyncio.Semaphore(0), asyncio.Event()
        lone, pooled = [
            [asyncio.create_task(work(function, alias, ready, gone)) for function in UNDER_WAY]
            for alias in FAR
        ]
        for _ in lone + pooled:
            await ready.acquire()
        await until(lambda: watch.pgconn.exec_(SLEEPING).ntuples == 4)
        server.stop(mode)
        gone.set()
        # There is nobody to connect to.
        refused = await asyncio.gather(*lone, return_exceptions=True)
        assert [told(exc) for exc in refused] == [LOST] * len(lone)
        _, waiting = await asyncio.wait(pooled, timeout=0.1)
        assert len(waiting) == len(pooled)
        server.start()
        assert await asyncio.gather(*pooled) == [1] * len(pooled)
        assert await accounts("far").acount() == 1
        await at_rest("far_pooled")

    with (
        far(server.database(), max_size=len(UNDER_WAY), timeout=20),
        closing(psycopg.connect(server.dsn, autocommit=True)) as watch,
    ):
        # Django has a connection, too, from before.
        assert accounts("far").count() == 1
        run(steps)
        with pytest.raises(OperationalError):
            accounts("far").count()
    assert rows(server) == ["Ada"]


@pytest.mark.parametrize("alias", FAR)
def test_a_wait_for_it_can_be_ended(alias, server, filled, run):
    async def wait():
        with pytest.raises((TimeoutError, OperationalError)) as caught:
            async with asyncio.timeout(0.2):
                await accounts(alias).acount()
        assert caught.type is (TimeoutError if alias == "far_pooled" else OperationalError)

    async def steps():
        server.stop()
        await asyncio.gather(*[asyncio.create_task(wait()) for _ in range(6)])
        server.start()
        assert await asyncio.create_task(accounts(alias).acount()) == 1
        await at_rest(alias)

    with far(server.database(), timeout=20):
        run(steps)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_what_was_confirmed_is_there_and_what_was_tried_again_once(mode, server, filled, run):
    """Whoever is told that it failed cannot know that it has, and looks before trying again."""
    confirmed = []

    async def write(alias, name):
        for _ in range(1000):
            with suppress(OperationalError):
                async with async_atomic(alias):
                    if await accounts(alias).filter(owner=name).aexists():
                        return
                    await accounts(alias).acreate(owner=name)
                confirmed.append(name)
                return
            await asyncio.sleep(0.02)

    async def write_all(alias, number):
        for i in range(40):
            await write(alias, f"{alias} {number} {i}")

    async def steps():
        tasks = [
            asyncio.create_task(write_all(alias, number)) for alias in FAR for number in range(4)
        ]
        await until(lambda: len(confirmed) > 40)
        server.stop(mode)
        await asyncio.sleep(0)
        server.start()
        await asyncio.gather(*tasks)
        await at_rest("far_pooled")

    with far(server.database(), timeout=20):
        run(steps)
    found = rows(server)
    wanted = {f"{alias} {number} {i}" for alias in FAR for number in range(4) for i in range(40)}
    assert sorted(found) == sorted({"Ada", *wanted})
    assert len(confirmed) == len({*confirmed}) <= len(wanted)
    assert len(wanted) - len(confirmed) <= 8


@pytest.mark.parametrize("is_checked", [False, True])
def test_a_pool_is_back_a_second_after_the_server(is_checked, server, filled, run):
    """psycopg's own waits twice as long after each attempt: for up to as long as it was gone."""

    async def count():
        # Of sessions that have ended one is told by what one asks.
        with suppress(OperationalError):
            return await accounts("far_pooled").acount()
        return await accounts("far_pooled").acount()

    async def steps():
        assert await asyncio.create_task(count()) == 1
        await at_rest("far_pooled")
        server.stop()
        waiting = [asyncio.create_task(count()) for _ in range(20)]
        # It has tried to connect at once, after a second, and after two more.
        await asyncio.sleep(3.5)
        server.start()
        before = time.monotonic()
        found = await asyncio.gather(*waiting)
        took = time.monotonic() - before
        await at_rest("far_pooled")
        return found, took

    entry = {**server.database(), "CONN_HEALTH_CHECKS": is_checked}
    with far(entry, max_size=5, timeout=20):
        found, took = run(steps)
    assert found == [1] * 20
    assert took < 2


def test_sessions_that_were_terminated_are_replaced_at_once(server, filled, run):
    """psycopg's check waits for a second after the first that has failed, then for two."""

    async def steps():
        async with asyncio.TaskGroup() as tasks:
            for _ in range(6):
                tasks.create_task(accounts("far_pooled").annotate(x=sleep(0.1)).alist())
        await at_rest("far_pooled")
        watch.pgconn.exec_(TERMINATE)
        before = time.monotonic()
        found = await asyncio.create_task(accounts("far_pooled").acount())
        took = time.monotonic() - before
        await at_rest("far_pooled")
        return found, took

    with (
        far({**server.database(), "CONN_HEALTH_CHECKS": True}, min_size=6, max_size=6),
        closing(psycopg.connect(server.dsn, autocommit=True)) as watch,
    ):
        found, took = run(steps)
    assert found == 1
    assert took < 0.7
