"""A loop that is closed, but not shut down, leaves no session, no loop and no complaint behind."""

import asyncio
import gc
import logging
import sys
import time
import weakref
from contextlib import suppress
from contextvars import Context

import pytest
from asgiref.sync import async_to_sync
from django.db import connections

from tests.library.models import Account
from tests.support.clients import sessions_of_clients
from tests.support.statements import ask
from turbo_orm import async_atomic, async_connection, async_pipeline, bridge
from turbo_orm.driver.loop_closing import drop

pytestmark = pytest.mark.usefixtures("scratch")

ALIASES = ["default", "pooled"]


@pytest.fixture
def accounts(scratch):
    Account.objects.bulk_create(Account(owner=f"{n}") for n in range(9))


@pytest.fixture
def sessions(driver):
    """Return a function that returns how many sessions there are more than before the test."""

    def found():
        return sessions_of_clients(driver)

    def left():
        deadline = time.monotonic() + 5
        while found() - before and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(found() - before)

    before = found()
    return left


@pytest.fixture
def complaints(caplog):
    """Return a list of what is printed where an exception cannot be raised, or is logged."""
    # A record of psycopg's has the connection, and that its loop.
    caplog.set_level(logging.CRITICAL, "psycopg.pool")
    found = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda what: found.append(repr(what.exc_value))
    yield found
    sys.unraisablehook = hook
    assert [record.getMessage() for record in caplog.records] == []


async def count(accounts, alias):
    await accounts.acount()


async def gather(accounts, alias):
    await asyncio.gather(*[accounts.acount() for _ in range(4)], accounts.alist())


async def fill_the_pool(accounts, alias):
    await accounts.acount()
    await asyncio.sleep(0.2)


async def leave_an_iterator(accounts, alias):
    iterator = accounts.aiterator(chunk_size=2)
    await anext(iterator)
    return iterator


async def leave_a_transaction(accounts, alias):
    await async_atomic(alias).__aenter__()
    await accounts.acount()


async def leave_a_block(accounts, alias):
    await async_connection(alias).__aenter__()
    await accounts.acount()


async def gather_in_a_block(accounts, alias):
    async with async_atomic(alias), async_pipeline(alias):
        await asyncio.gather(*[accounts.acount() for _ in range(4)], accounts.alist())


async def leave_a_pipeline(accounts, alias):
    await async_pipeline(alias).__aenter__()
    tasks = [asyncio.create_task(accounts.acount()) for _ in range(4)]
    await asyncio.gather(*tasks)


async def leave_an_iterator_in_a_transaction(accounts, alias):
    await async_atomic(alias).__aenter__()
    return await leave_an_iterator(accounts, alias)


async def fail(accounts, alias):
    await accounts.acount()
    raise KeyError("of the work")


WORK = [
    count,
    gather,
    fill_the_pool,
    leave_an_iterator,
    leave_a_transaction,
    leave_a_block,
    gather_in_a_block,
    leave_a_pipeline,
    leave_an_iterator_in_a_transaction,
    fail,
]


def new_uvloop():
    return pytest.importorskip("uvloop").new_event_loop()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, new_uvloop])
@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_a_loop_that_is_closed_alone(work, alias, new_loop, accounts, sessions, complaints):
    loops = []
    for _ in range(3):
        loop = new_loop()
        loops.append(weakref.ref(loop))
        with suppress(KeyError):
            kept = loop.run_until_complete(work(Account.objects.using(alias), alias))
        loop.close()
        kept = None  # noqa: F841
        del loop
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3
    assert sessions() == 0
    assert complaints == []


@pytest.mark.parametrize("alias", ALIASES)
def test_a_loop_that_is_closed_while_a_task_has_a_transaction(alias, accounts, sessions):
    async def hold():
        async with async_atomic(alias):
            await Account.objects.using(alias).acreate(owner="never")
            begun.set()
            await asyncio.Event().wait()

    async def work():
        tasks.append(asyncio.create_task(hold()))
        await begun.wait()

    tasks = []
    begun = asyncio.Event()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work())
    loop.close()
    assert sessions() == 0
    assert Account.objects.count() == 9
    # asyncio complains of tasks that are left.
    drop(tasks.pop())


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("is_in_transaction", [True, False])
def test_a_loop_that_is_closed_while_statements_are_on_their_way(
    is_in_transaction, alias, accounts, sessions
):
    async def gather():
        async with async_pipeline(alias):
            slow = [ask("SELECT pg_sleep(30)", using=alias) for _ in range(3)]
            await asyncio.gather(*slow)

    async def hold():
        if not is_in_transaction:
            await gather()
            return
        async with async_atomic(alias):
            await Account.objects.using(alias).acreate(owner="never")
            await gather()

    async def work():
        tasks.append(asyncio.create_task(hold()))
        while len(tasks) < 4:
            await asyncio.sleep(0.01)
            tasks[1:] = asyncio.all_tasks() - {*tasks[:1], asyncio.current_task(), *pools()}
        # What they have sent has arrived.
        await asyncio.sleep(0.1)

    def pools():
        return [task for task in asyncio.all_tasks() if "pool" in task.get_name()]

    tasks = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work())
    loop.close()
    assert sessions() == 0
    assert Account.objects.count() == 9
    while tasks:
        drop(tasks.pop())


@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
@pytest.mark.parametrize("alias", ALIASES)
def test_a_loop_that_nobody_closes(alias, accounts, sessions, complaints):
    loop = asyncio.new_event_loop()
    known = weakref.ref(loop)
    loop.run_until_complete(gather(Account.objects.using(alias), alias))
    del loop
    gc.collect()
    assert known() is None
    assert sessions() == 0
    assert [text for text in complaints if "unclosed event loop" not in text] == []


@pytest.mark.parametrize("alias", ALIASES)
def test_a_loop_that_another_one_closes(alias, accounts, sessions, complaints):
    """As a fixture does that is torn down in an async test."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(gather(Account.objects.using(alias), alias))

    async def close():
        loop.close()
        assert await Account.objects.using(alias).acount() == 9

    asyncio.run(close())
    assert sessions() == 0
    assert complaints == []


def test_a_loop_that_runs_is_not_closed(sessions):
    async def close():
        accounts = Account.objects.using("pooled")
        await accounts.acount()
        with pytest.raises(RuntimeError, match="running"):
            asyncio.get_running_loop().close()
        return await accounts.acount()

    assert asyncio.run(close()) == 0
    assert sessions() == 0


@pytest.mark.parametrize("alias", ALIASES)
def test_the_loops_of_async_to_sync(alias, accounts, sessions, complaints):
    async def work():
        loops.append(weakref.ref(asyncio.get_running_loop()))
        return await Account.objects.using(alias).acount()

    def steps():
        # What asgiref takes over from the loop's context is kept here.
        assert [async_to_sync(work)() for _ in range(3)] == [9] * 3
        gc.collect()
        assert [loop() for loop in loops] == [None] * 3

    loops = []
    Context().run(steps)
    assert sessions() == 0
    assert complaints == []


@pytest.mark.parametrize("alias", ALIASES)
def test_an_iterator_that_is_collected_outside_of_the_bridge(alias, accounts, run, complaints):
    """Its cursor stays on the server: the session is reset before another task gets it."""

    def begin():
        iterator = Account.objects.using(alias).iterator(chunk_size=2)
        next(iterator)
        return iterator

    def cursors():
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_cursors WHERE is_holdable")
            return cursor.fetchone()[0]

    async def steps():
        left = await bridge.run(begin)
        del left
        return await bridge.run(cursors)

    assert run(steps) == 0
    assert complaints == []
