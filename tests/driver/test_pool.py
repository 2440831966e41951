"""A pool of connections: a statement borrows one, and many tasks share a few."""

import asyncio
import gc
import logging
import re
import time
import weakref
from contextlib import aclosing, asynccontextmanager

import pytest
from django.db import OperationalError, connections
from django_async_backend.db.backends.base.base import RAN_DB_VERSION_CHECK

from tests.library.models import Account
from tests.support.clients import until
from turbo_orm import async_atomic, async_connection, bridge
from turbo_orm.backend.handler import process_connection
from turbo_orm.backend.task_connections import async_connections

pytestmark = pytest.mark.usefixtures("scratch")

SIZE = 4


def pooled():
    return Account.objects.using("pooled")


def stats():
    return async_connections["pooled"].pool.get_stats()


def server_process():
    with connections["pooled"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def test_many_tasks_share_few_connections(run):
    async def work(number):
        async with async_atomic("pooled"):
            await pooled().acreate(owner=f"{number}")
        assert await pooled().filter(owner=f"{number}").acount() == 1
        return await bridge.run(server_process)

    async def steps():
        pids = await asyncio.gather(*[work(number) for number in range(40)])
        assert await pooled().acount() == 40
        return len(set(pids)), stats()["pool_size"]

    connections_used, size = run(steps)
    assert 1 < connections_used <= SIZE
    assert size <= SIZE


def test_tasks_that_have_one_and_do_nothing_with_it_keep_nobody_waiting(run):
    async def work(started, ended):
        await pooled().acount()
        started.release()
        await ended.wait()
        await pooled().acount()

    async def steps():
        started, ended = asyncio.Semaphore(0), asyncio.Event()
        tasks = [asyncio.create_task(work(started, ended)) for _ in range(5 * SIZE)]
        for _ in tasks:
            await started.acquire()
        await pooled().acount()
        ended.set()
        await asyncio.gather(*tasks)

    run(steps)


def test_a_task_keeps_its_connection_while_nobody_waits(run):
    async def steps():
        pids = {await bridge.run(server_process) for _ in range(5)}
        requests = stats()["requests_num"]
        return len(pids), requests

    assert run(steps) == (1, 1)


@asynccontextmanager
async def held(number, block=async_atomic):
    """Have so many tasks hold a connection each, and still have the same at the end."""

    async def hold():
        async with block("pooled"):
            pid = await bridge.run(server_process)
            begun.release()
            await ended.wait()
            assert await bridge.run(server_process) == pid

    begun, ended = asyncio.Semaphore(0), asyncio.Event()
    async with asyncio.TaskGroup() as holders:
        for _ in range(number):
            holders.create_task(hold())
        for _ in range(number):
            await begun.acquire()
        yield
        ended.set()


@pytest.mark.parametrize("block", [async_atomic, async_connection])
def test_what_is_idle_goes_back_after_a_moment_and_what_is_in_a_block_does_not(block, run):
    async def steps():
        async with held(SIZE - 1, block):
            await bridge.run(server_process)
            before = stats()["pool_available"]
            # The timer has run by then for those in the block, too.
            await until(lambda: stats()["pool_available"] == 1)
            return before

    assert run(steps) == 0


@pytest.mark.parametrize("block", [async_atomic, async_connection])
def test_a_connection_in_a_block_is_not_taken_away(block, run):
    async def steps():
        async with held(SIZE - 1, block):
            pids = await asyncio.gather(*[bridge.run(server_process) for _ in range(6)])
        return len(set(pids))

    assert run(steps) == 1


def test_where_all_are_held_the_error_is_djangos_and_comes_in_time(run):
    async def steps():
        async with held(SIZE):
            async_connections["pooled"].pool.timeout = 0.1
            with pytest.raises(OperationalError, match="couldn't get a connection"):
                await pooled().acount()
            with pytest.raises(OperationalError, match="couldn't get a connection"):
                async with async_atomic("pooled"):
                    pass
        assert await pooled().acount() == 0
        # The task may keep one, or have borrowed one for just the statement.
        await until(lambda: stats()["pool_available"] >= SIZE - 1)

    run(steps)


def test_the_error_says_who_holds_the_connections(run):
    async def steps():
        async with held(SIZE - 1), held(1, async_connection):
            async_connections["pooled"].pool.timeout = 0.1

            async def ask():
                with pytest.raises(OperationalError) as caught:
                    await pooled().acount()
                return str(caught.value)

            async def begin():
                with pytest.raises(OperationalError) as caught:
                    async with async_atomic("pooled"):
                        pass
                return str(caught.value)

            return await asyncio.gather(*[asyncio.create_task(f()) for f in (ask, begin)])

    for text in run(steps):
        assert "couldn't get a connection after 0.10 sec: the pool of 'pooled' has 4 of " in text
        assert "at most 4 connections; 0 are free, 4 held by tasks, 0 used by " in text
        assert re.search("tasks that wait: [12]; it is held by", text)
        place = rf"{re.escape(__file__)}:\d+, for \d+\.\d s\)"
        assert len(re.findall(rf"Task-\d+ \(transaction at {place}", text)) == SIZE - 1
        assert len(re.findall(rf"Task-\d+ \(async_connection\(\) block at {place}", text)) == 1


def test_the_error_names_an_iterator_and_counts_statements(run):
    async def steps():
        await pooled().abulk_create([pooled().model(owner=f"{n}") for n in range(5)])
        async_connections["pooled"].pool.timeout = 0.1
        async with aclosing(pooled().aiterator(chunk_size=1)) as arriving:
            await anext(arriving)
            sleepers = [
                asyncio.create_task(bridge.run(server_process_after_a_while)) for _ in range(3)
            ]
            await asyncio.sleep(0.05)
            with pytest.raises(OperationalError) as caught:
                await asyncio.create_task(pooled().acount())
            await asyncio.gather(*sleepers)
        return str(caught.value)

    text = run(steps)
    assert "(server-side cursor, for " in text
    assert text.count("(in use, for ") == 3


def server_process_after_a_while():
    with connections["pooled"].cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.4)")


def test_a_waiting_task_that_is_cancelled_takes_nothing_with_it(run):
    async def steps():
        async with held(SIZE):
            waiting = [asyncio.create_task(pooled().acount()) for _ in range(10)]
            await asyncio.sleep(0.01)
            for task in waiting[::2]:
                task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(result, int) for result in results] == [False, True] * 5
        await until(lambda: stats()["pool_available"] == stats()["pool_size"] == SIZE)

    run(steps)


def test_a_broken_connection_is_replaced(run):
    def terminate():
        with connections["pooled"].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    async def steps():
        for _ in range(3 * SIZE):
            with pytest.raises(OperationalError):
                await bridge.run(terminate)
            assert await pooled().acount() == 0
        return stats()["pool_size"]

    assert run(steps) <= SIZE


def test_an_event_loop_has_a_pool_of_its_own_which_ends_with_it(tables):
    async def work():
        pids = await asyncio.gather(*[bridge.run(server_process) for _ in range(SIZE)])
        return pids, async_connections["pooled"].pool

    (first, one), (second, other) = asyncio.run(work()), asyncio.run(work())
    assert one is not other
    assert not {*first} & {*second}
    assert one.closed
    assert other.closed
    remaining = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"

    def are_gone():
        with connections["default"].cursor() as cursor:
            cursor.execute(remaining, [[*first, *second]])
            return cursor.fetchone() == (0,)

    deadline = time.monotonic() + 10
    while not are_gone():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_event_loop_that_has_ended_is_not_kept(tables, caplog):
    # A record of the log has the exception, which has the frames, which have the loop.
    caplog.set_level(logging.CRITICAL, "psycopg.pool")

    async def work():
        await pooled().acount()
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(work()) for _ in range(3)]
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3


def test_the_first_task_of_a_process_gives_its_connection_away(run):
    """django-async-backend checks the version of the server on it."""
    RAN_DB_VERSION_CHECK.discard("pooled")
    process_connection("pooled").__dict__.pop("pg_version", None)

    async def work():
        return await pooled().acount()

    async def steps():
        await pooled().acount()
        assert "pooled" in RAN_DB_VERSION_CHECK
        connection = async_connections["pooled"]
        assert connection.pins == {}
        # As many others as there are connections in the pool, all at once in transactions.
        started = asyncio.Barrier(SIZE)

        async def in_transaction():
            async with async_atomic("pooled"):
                await pooled().acount()
                await started.wait()

        await asyncio.gather(*[in_transaction() for _ in range(SIZE)])
        return await asyncio.create_task(work())

    assert run(steps) == 0


def test_a_pool_that_is_closed_while_it_connects_complains_of_nothing(tables, caplog):
    """It grows in the background, for tasks that have had their answers by then."""

    async def main(rounds):
        await pooled().acount()
        pool = async_connections["pooled"].pool
        pool._maybe_grow_pool()
        assert pool._growing
        # The loop shuts down while the server has not answered yet.
        for _ in range(rounds):
            await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING, "psycopg.pool"):
        for rounds in range(1, 12):
            asyncio.run(main(rounds))
    assert not caplog.messages
