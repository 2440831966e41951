"""``pool_stats()``: the connections of a pool, and who has them."""

import asyncio

import pytest

from tests.library.models import Account
from tests.support.clients import until
from tests.support.sharing import ALIAS, share, sharing
from turbo_orm import async_atomic, pool_stats
from turbo_orm.explain.pool import PoolStats

pytestmark = pytest.mark.usefixtures("scratch")

SIZE = 4


def test_a_pool_that_was_not_used_yet(run):
    async def steps():
        return pool_stats("pooled"), pool_stats()

    assert run(steps) == (None, None)


def test_without_an_event_loop():
    with pytest.raises(RuntimeError, match="no running event loop"):
        pool_stats("pooled")


def test_what_tasks_hold_and_wait_for(run):
    async def hold(end):
        async with async_atomic("pooled"):
            await Account.objects.using("pooled").acount()
            await end.wait()

    async def steps():
        end = asyncio.Event()
        tasks = [asyncio.create_task(hold(end)) for _ in range(SIZE + 2)]
        await until(lambda: (found := pool_stats("pooled")) and found.held == SIZE)
        await until(lambda: pool_stats("pooled").waiting == 2)
        full = pool_stats("pooled")
        end.set()
        await asyncio.gather(*tasks)
        await until(lambda: pool_stats("pooled").available == SIZE)
        return full, pool_stats("pooled")

    full, free = run(steps)
    assert full == PoolStats("pooled", SIZE, SIZE, 0, SIZE, 0, 2, 0)
    assert free == PoolStats("pooled", SIZE, SIZE, SIZE, 0, 0, 0, 0)


def test_what_statements_share(run):
    async def steps():
        shared = await share()
        found = pool_stats(ALIAS)
        assert (found.shared, found.held, found.waiting) == (len(shared), 0, 0)
        for each in [*shared]:
            each.end()
        assert pool_stats(ALIAS).shared == 0

    with sharing():
        run(steps)
