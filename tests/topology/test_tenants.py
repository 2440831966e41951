"""Tenants in schemas, by ``search_path``: none sees or changes rows of another's.

Statements are cached and prepared without a schema in their text, sessions are those of a pool,
and some are shared.
"""

import asyncio
import random
from collections import Counter
from contextlib import suppress

import pytest
from django.db import connection
from django.db.models import F

from tests.library.models import Account
from tests.support.sharing import ALIAS, multiplexer, share, sharing, using
from tests.support.statements import ask
from tests.topology.tenants import (
    PUBLIC,
    TENANTS,
    in_block,
    in_none,
    in_task,
    in_transaction,
    schemas,
    set_path,
)
from turbo_orm import async_atomic, release_connection, run_sync
from turbo_orm.driver.prepared import THRESHOLD

PREPARED = (
    "SELECT count(*) FROM pg_prepared_statements WHERE strpos(statement, 'library_account') > 0"
)
WAYS = {"transaction": in_transaction, "block": in_block, "task": in_task}


@pytest.fixture
def tenants(scratch):
    with schemas():
        yield


async def owners(alias=ALIAS):
    return {each.owner for each in await Account.objects.using(alias).alist()}


@pytest.mark.parametrize("way", WAYS)
def test_a_prepared_statement_follows_the_path(way, tenants, run):
    """Of one session, by one name: PostgreSQL plans it anew."""

    async def steps():
        async with in_block(ALIAS, PUBLIC):
            for _ in range(2 * THRESHOLD):
                assert await owners() == {PUBLIC}
            for name in TENANTS * 2:
                if way == "transaction":
                    async with in_transaction(ALIAS, name):
                        assert await owners() == {name}
                    assert await owners() == {PUBLIC}
                else:
                    await run_sync(set_path, ALIAS, name, is_local=False)
                    assert await owners() == {name}
                    await run_sync(set_path, ALIAS, PUBLIC, is_local=False)
            assert await ask(PREPARED, using=ALIAS) == [("1",)]

    with sharing(number=0):
        run(steps)


@pytest.mark.parametrize("way", WAYS)
def test_the_next_task_of_a_session_has_none_of_the_path(way, tenants, run):
    async def tenant():
        async with WAYS[way](ALIAS, "ada"):
            for _ in range(2 * THRESHOLD):
                assert await owners() == {"ada"}
        return await ask("SELECT pg_backend_pid()", using=ALIAS)

    async def other():
        return await owners(), await ask("SELECT pg_backend_pid()", using=ALIAS)

    async def steps():
        first = await asyncio.create_task(tenant())
        found, second = await asyncio.create_task(other())
        assert found == {PUBLIC}
        assert second == first

    with sharing(number=0, max_size=1):
        run(steps)


def test_a_path_that_a_cursor_sets_is_the_tasks_to_its_end(tenants, run):
    """As it is a thread's in sync code: no other task gets the session, however many wait."""

    async def tenant(name):
        async with in_task(ALIAS, name):
            for _ in range(THRESHOLD):
                assert await owners() == {name}
                await asyncio.sleep(0)
        await release_connection(ALIAS)
        assert await owners() == {PUBLIC}

    async def none():
        for _ in range(THRESHOLD):
            assert await owners() == {PUBLIC}
            await asyncio.sleep(0)

    async def steps():
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                for name in TENANTS:
                    group.create_task(tenant(name))
                    group.create_task(none())

    with sharing(number=0, max_size=2):
        run(steps)


def test_a_path_that_is_set_in_a_transaction_and_committed(tenants, run):
    """``SET`` without ``LOCAL`` outlives the transaction."""

    async def tenant():
        async with async_atomic(ALIAS):
            await run_sync(set_path, ALIAS, "bo", is_local=False)
            assert await owners() == {"bo"}
        assert await owners() == {"bo"}

    async def steps():
        await asyncio.create_task(tenant())
        assert await asyncio.create_task(owners()) == {PUBLIC}

    with sharing(number=0, max_size=1):
        run(steps)


@pytest.mark.parametrize("way", WAYS)
def test_no_statement_of_a_tenant_is_sent_on_a_shared_connection(way, tenants, run):
    async def tenant(name):
        async with WAYS[way](ALIAS, name):
            for _ in range(2 * THRESHOLD):
                assert await owners() == {name}

    async def none():
        for _ in range(2 * THRESHOLD):
            assert await owners() == {PUBLIC}

    async def steps():
        await owners()
        (shared,) = await share()
        before = shared.pipeline.completed
        await asyncio.gather(*map(asyncio.create_task, map(tenant, TENANTS)))
        assert shared.pipeline.completed == before
        await asyncio.gather(*[asyncio.create_task(none()) for _ in TENANTS])
        assert shared.pipeline.completed > before
        assert multiplexer().shared == [shared]

    with sharing():
        run(steps)


class Trial:
    """Tasks of all tenants that read and write in random ways, and what they have written."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        # By tenant, how many writes were sent: those that are rolled back, too.
        self.sent = Counter()

    async def visit(self):
        name = self.random.choice([PUBLIC, *TENANTS])
        way = in_none if name == PUBLIC else WAYS[self.random.choice(list(WAYS))]
        async with way(ALIAS, name):
            for _ in range(self.random.randrange(1, 6)):
                await self.step(name)
                if self.random.random() < 0.1:
                    raise LookupError

    async def step(self, name):
        accounts = using()
        kind = self.random.choice(["list", "get", "count", "values", "write"])
        if kind == "list":
            assert await owners() == {name}
        elif kind == "get":
            assert (await accounts.order_by("pk").aget()).owner == name
        elif kind == "count":
            assert await accounts.exclude(owner=name).acount() == 0
        elif kind == "values":
            assert [each async for each in accounts.values_list("owner", flat=True)] == [name]
        else:
            self.sent[name] += 1
            assert await accounts.aupdate(balance=F("balance") + 1) == 1

    async def task(self):
        with suppress(LookupError, TimeoutError):
            timeout = 0.005 if self.random.random() < 0.1 else None
            async with asyncio.timeout(timeout):
                await self.visit()


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("seed", range(3))
def test_many_tasks_of_many_tenants(seed, number, tenants, run):
    trial = Trial(seed)

    async def steps():
        for _ in range(4):
            async with asyncio.TaskGroup() as group:
                for _ in range(60):
                    group.create_task(trial.task())

    with sharing(number=number, looks=True):
        run(steps)
    with connection.cursor() as cursor:
        for name in [PUBLIC, *TENANTS]:
            cursor.execute(f"SELECT owner, balance FROM {name}.library_account")
            ((owner, balance),) = cursor.fetchall()
            assert owner == name
            assert 0 < balance <= trial.sent[name]
