"""A connection that has ended is replaced, and what is replaced is what nobody relies on."""

import asyncio
from contextlib import suppress
from inspect import isawaitable

import pytest
from django.db import OperationalError, connections, transaction

from tests.faults.aliases import FAR, far
from tests.faults.fault import Action, Fault, Toward
from tests.faults.outcomes import at_rest, of_django, of_turbo
from tests.faults.proxy import Proxy
from tests.library.models import Account
from tests.support.clients import Rival, until
from turbo_orm import async_connection, bridge
from turbo_orm.backend.task_connections import async_connections

pytestmark = pytest.mark.usefixtures("scratch")

TERMINATE = "SELECT pg_terminate_backend(pg_backend_pid())"


def ask(statement, alias):
    """Return the first value of what a statement returns."""

    def ask():
        with connections[alias].cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None

    return bridge.run(ask)


def test_what_a_block_sets_for_a_second_session_is_seen_by_nobody_else(run):
    async def work():
        async with async_connection("pooled"):
            with pytest.raises(OperationalError):
                await ask(TERMINATE, "pooled")
            await ask("SET statement_timeout = 12345", "pooled")

    async def steps():
        await asyncio.create_task(work())
        await at_rest("pooled")
        seen = [asyncio.create_task(ask("SHOW statement_timeout", "pooled")) for _ in range(4)]
        assert await asyncio.gather(*seen) == ["0"] * 4

    run(steps)


@pytest.mark.parametrize("alias", ["default", "pooled"])
def test_a_connection_that_was_lost_behind_the_orms_back(alias, run):
    """By a cursor of django-async-backend's: the next statement has a new one all the same."""

    async def execute(connection, statement):
        cursor = connection.cursor()
        # To be awaited or not, as the version of django-async-backend has it.
        async with await cursor if isawaitable(cursor) else cursor as cursor:
            await cursor.execute(statement)
            return await cursor.fetchone()

    async def lose(connection):
        with pytest.raises(OperationalError):
            await execute(connection, TERMINATE)

    async def work():
        connection = async_connections[alias]
        await lose(connection)
        assert await ask("SELECT 1", alias) == 1
        await lose(connection)
        assert await execute(connection, "SELECT 2") == (2,)
        await connection.close()

    async def steps():
        await asyncio.create_task(work())
        await at_rest(alias)

    run(steps)


async def write_by_hand(p, accounts, fault):
    """Manage a transaction without a block, and go on after a failure."""
    alias = accounts.db
    await p.run(lambda: transaction.set_autocommit(False, alias))
    fault()
    with suppress(OperationalError):
        await p.call(accounts, "create", owner="Ada")
    try:
        await p.call(accounts, "create", owner="Bo")
        await p.run(lambda: transaction.commit(alias))
    finally:
        await p.run(lambda: connections[alias].close())


def test_a_transaction_without_a_block_is_not_continued_on_another_connection(run):
    async def steps(alias):
        outcome = await asyncio.create_task(of_turbo(lambda p: play(p, alias)))
        await at_rest(alias)
        return outcome

    def play(p, alias):
        fault = Fault(Action.CLOSE, Toward.SERVER, pattern=b"INSERT")
        return write_by_hand(p, Account.objects.using(alias), lambda: proxy.add(fault))

    with Proxy() as proxy, far(proxy.database()):
        expected = of_django(lambda p: play(p, "far"), "far")
        assert expected == (OperationalError, None)
        for alias in FAR:
            assert run(lambda alias=alias: steps(alias)) == expected
            assert not Account.objects.exists()


def test_with_health_checks_nobody_is_given_a_connection_that_does_not_work(run):
    """Be it from the pool, or from a task that does nothing with it."""

    async def hold(started, ended):
        assert await Account.objects.using("far_pooled").acount() == 0
        started.release()
        await ended.wait()

    async def steps():
        started, ended = asyncio.Semaphore(0), asyncio.Event()
        holders = [asyncio.create_task(hold(started, ended)) for _ in range(3)]
        for _ in holders:
            await started.acquire()
        proxy.reset()
        await until(lambda: proxy.open == 0)
        asking = [asyncio.create_task(ask("SELECT 1", "far_pooled")) for _ in range(9)]
        assert await asyncio.gather(*asking) == [1] * 9
        ended.set()
        await asyncio.gather(*holders)
        await at_rest("far_pooled")

    with Proxy() as proxy, far({**proxy.database(), "CONN_HEALTH_CHECKS": True}):
        run(steps)


def test_without_them_each_dead_connection_is_given_to_one_at_most(run):
    async def steps():
        await asyncio.gather(*[asyncio.create_task(ask("SELECT 1", "far_pooled")) for _ in "123"])
        await at_rest("far_pooled")
        proxy.reset()
        await until(lambda: proxy.open == 0)
        asking = [asyncio.create_task(ask("SELECT 1", "far_pooled")) for _ in range(20)]
        answers = await asyncio.gather(*asking, return_exceptions=True)
        failed = [answer for answer in answers if answer != 1]
        # Those whose end was not read yet.
        assert {*map(type, failed)} <= {OperationalError}
        assert len(failed) <= 3
        await at_rest("far_pooled")

    with Proxy() as proxy, far(proxy.database()):
        run(steps)


@pytest.fixture
def rival():
    with Rival() as rival:
        yield rival


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("alias", ["default", "pooled"])
def test_a_session_whose_farewell_has_arrived_is_not_used(alias, direct, rival, run):
    """Neither for a statement of its task, nor for that of another one."""

    async def count():
        accounts = Account.objects.using(alias)
        return await (accounts.acount() if direct else bridge.run(accounts.count))

    async def steps():
        for _ in range(3):
            assert await count() == 0
            pid = await ask("SELECT pg_backend_pid()", alias)
            rival.terminate(pid)
            # The loop reads what has arrived.
            await asyncio.sleep(0.05)
            assert await count() == 0
            assert await asyncio.create_task(count()) == 0
            assert await ask("SELECT pg_backend_pid()", alias) != pid

    run(steps)


@pytest.mark.parametrize("alias", ["default", "pooled"])
def test_a_session_that_ends_in_a_block_is_not_replaced_unseen(alias, rival, run):
    async def steps():
        async with async_connection(alias):
            rival.terminate(await ask("SELECT pg_backend_pid()", alias))
            await asyncio.sleep(0.05)
            with pytest.raises(OperationalError):
                await ask("SELECT 1", alias)
        assert await ask("SELECT 1", alias) == 1

    run(steps)
