"""Behind a PgBouncer: each transaction may be in another session of the server."""

import asyncio

import pytest
from django.db import connections
from django.db.models import F
from django.test.utils import override_settings

from tests.faults.aliases import known_as
from tests.library.models import Account
from tests.support.sharing import ALIAS, multiplexer, pool, sharing
from tests.support.statements import ask
from tests.topology.pgbouncer import pgbouncer, program
from turbo_orm import async_atomic, async_pipeline
from turbo_orm.checks import check_poolers
from turbo_orm.driver.prepared import THRESHOLD

pytestmark = [
    pytest.mark.usefixtures("scratch"),
    pytest.mark.skipif(program() is None, reason="There is no PgBouncer: make pgbouncer"),
]

PREPARED = "SELECT count(*) FROM pg_prepared_statements"


@pytest.fixture(params=["transaction", "session"])
def behind(request, scratch):
    """Have the database once more, behind a PgBouncer, with a pool and without one."""
    entry = connections.settings["default"]
    with pgbouncer(entry, pool_mode=request.param) as found:
        pool = {"min_size": 1, "max_size": 4, "timeout": 20}
        pooled = {**found, "OPTIONS": {**found["OPTIONS"], "pool": pool}}
        with known_as("behind", found), known_as("behind_pooled", pooled):
            yield request.param


@pytest.mark.parametrize("alias", ["behind", "behind_pooled"])
def test_nothing_is_prepared(alias, behind, run):
    async def steps():
        await Account.objects.using(alias).acreate(owner="first", balance=0)
        for number in range(3 * THRESHOLD):
            account = await Account.objects.using(alias).aget(owner="first")
            assert account.balance == number
            await Account.objects.using(alias).filter(pk=account.pk).aupdate(balance=number + 1)
        assert await ask(PREPARED, using=alias) == [("0",)]

    run(steps)


def test_many_tasks_share_few_sessions(behind, run):
    alias = "behind_pooled"

    async def transfer(number):
        accounts = Account.objects.using(alias)
        async with async_atomic(alias):
            await accounts.filter(owner="a").aupdate(balance=F("balance") - number)
            await accounts.filter(owner="b").aupdate(balance=F("balance") + number)
        return (await accounts.aget(owner="a")).owner

    async def steps():
        for owner in "ab":
            await Account.objects.using(alias).acreate(owner=owner, balance=0)
        assert await asyncio.gather(*map(transfer, range(60))) == ["a"] * 60
        accounts = Account.objects.using(alias).order_by("owner")
        return [each.balance async for each in accounts]

    total = sum(range(60))
    assert run(steps) == [-total, total]


def test_no_connection_is_shared(behind, run):
    async def get():
        return (await Account.objects.using(ALIAS).aget(owner="first")).balance

    async def steps():
        await Account.objects.using(ALIAS).acreate(owner="first", balance=7)
        for _ in range(3 * THRESHOLD):
            assert await asyncio.gather(*[asyncio.create_task(get()) for _ in "7777"]) == [7] * 4
            assert multiplexer().shared == []
        assert any(driver.prepared.is_off for driver in pool().driver_pool._pool)

    with sharing(connections.settings["behind"]):
        run(steps)


@pytest.mark.parametrize("alias", ["behind", "behind_pooled"])
def test_blocks_of_async_pipeline(alias, behind, run):
    """Nothing is pipelined: each statement is sent when the one before has been answered."""
    accounts = Account.objects.using(alias)

    async def block(number):
        async with async_pipeline(alias):
            await asyncio.gather(
                *[accounts.acreate(owner=f"{number} {n}") for n in range(3)],
                *[accounts.acount() for _ in range(THRESHOLD)],
            )

    async def steps():
        for number in range(4):
            async with async_atomic(alias):
                await block(2 * number)
            await block(2 * number + 1)
        # One that is cancelled ends on the server, too.
        async with async_pipeline(alias):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await asyncio.gather(ask("SELECT pg_sleep(30)", using=alias))
            await asyncio.gather(accounts.acreate(owner="last"))
        assert await ask(PREPARED, using=alias) == [("0",)]
        return [each.owner for each in await accounts.order_by("pk").alist()]

    assert run(steps) == [*[f"{number} {n}" for number in range(8) for n in range(3)], "last"]


def test_the_check_says_so(behind):
    (message,) = check_poolers(None, ["default", "behind"])
    assert message.id == "turbo_orm.I002"
    assert "'behind'" in message.msg
    with override_settings(TURBO_ORM={"PREPARE": False}):
        assert check_poolers(None, ["behind"]) == []
