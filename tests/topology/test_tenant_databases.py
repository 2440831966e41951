"""A database for each tenant, by a router, under aliases that are added while the process runs."""

import asyncio
import random
from collections import Counter

import pytest
from django.db import connections
from django.db.models import F
from django.test.utils import override_settings

from tests.library.models import Account
from tests.topology.tenants import TENANTS, add, own_databases, remove, tenant
from turbo_orm import async_atomic, async_pipeline, pool_stats, run_sync
from turbo_orm.driver.prepared import THRESHOLD

pytestmark = pytest.mark.usefixtures("databases")


@pytest.fixture(scope="module")
def databases(tables):
    with own_databases():
        yield


@pytest.fixture(autouse=True)
def routed(databases):
    with override_settings(DATABASE_ROUTERS=["tests.topology.tenants.TenantRouter"]):
        yield
    for name in [*TENANTS, "moved"]:
        remove(name)


async def owners():
    return {each.owner for each in await Account.objects.alist()}


async def visit(number, written):
    """Do something as a tenant whose alias may be new."""
    choose = random.Random(number)
    name = choose.choice(TENANTS)
    tenant.set(name)
    if name not in connections.settings:
        add(name, name)
    for _ in range(choose.randrange(1, 8)):
        kind = choose.choice(["list", "sync", "atomic", "pipeline", "write"])
        if kind == "list":
            assert await owners() == {name}
        elif kind == "sync":
            assert await run_sync(lambda: {each.owner for each in Account.objects.all()}) == {name}
        elif kind == "atomic":
            async with async_atomic(name):
                assert (await Account.objects.aget()).owner == name
        elif kind == "pipeline":
            async with async_pipeline(name):
                assert await asyncio.gather(owners(), owners()) == [{name}, {name}]
        else:
            assert await Account.objects.aupdate(balance=F("balance") + 1) == 1
            written[name] += 1


@pytest.mark.parametrize("seed", [1, 2])
def test_many_tasks_of_many_tenants(seed, run):
    written = Counter()

    async def steps():
        before = {}
        for name in TENANTS:
            add(name, name)
            before[name] = (await Account.objects.using(name).aget()).balance
            remove(name)
        async with asyncio.TaskGroup() as group:
            for number in range(120):
                group.create_task(visit(1000 * seed + number, written))
        assert {pool_stats(name).max_size for name in TENANTS} == {3}
        return {
            name: (await Account.objects.using(name).aget()).balance - before[name]
            for name in TENANTS
        }

    assert run(steps) == dict(written)


def test_an_alias_that_becomes_another_database(run):
    """A tenant has moved: what holds a connection of the old one ends, and no other is used."""

    async def read():
        tenant.set("moved")
        return await owners()

    async def steps():
        going_on = asyncio.Event()

        async def long():
            tenant.set("moved")
            async with async_atomic("moved"):
                found = [await owners()]
                await going_on.wait()
                return [*found, await owners()]

        add("moved", "ada")
        for _ in range(2 * THRESHOLD):
            assert await asyncio.create_task(read()) == {"ada"}
        task = asyncio.create_task(long())
        await asyncio.sleep(0.05)
        add("moved", "bo")
        for _ in range(2 * THRESHOLD):
            assert await asyncio.create_task(read()) == {"bo"}
        going_on.set()
        assert await task == [{"ada"}] * 2
        assert await asyncio.create_task(read()) == {"bo"}
        # Nothing is connected to the old one any more.
        tenant.set("cy")
        add("cy", "cy")
        await until_ended("ada")
        assert await sessions_of("bo")

    run(steps)


async def until_ended(name):
    for _ in range(400):
        if not await sessions_of(name):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"Sessions of {name} are left.")


async def sessions_of(name):
    rows = Account.objects.raw(
        "SELECT 1 AS id FROM pg_stat_activity WHERE datname LIKE %s", [f"%\\_{name}"]
    )
    return len([row async for row in rows])
