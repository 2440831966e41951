"""A statement whose task is cancelled again, while it is being cancelled, ends on the server."""

import asyncio
import gc
import logging
import time

import pytest

from tests.faults.aliases import FAR, far
from tests.faults.outcomes import at_rest
from tests.faults.proxy import Proxy
from tests.library.models import Account
from tests.support.clients import Rival, until
from tests.support.sleeping import sleep
from turbo_orm import async_atomic
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.driver import cancel_request
from turbo_orm.driver.loop_closing import drop

pytestmark = pytest.mark.usefixtures("scratch")

SEND = cancel_request.send


@pytest.fixture(params=["default", "pooled", *FAR])
def alias(request, caplog):
    """Return the alias of a database: on this machine, or behind a network."""
    # A record of the log has the exception, which has the frames, which have the connection.
    caplog.set_level(logging.CRITICAL, "psycopg.pool")
    if request.param not in FAR:
        yield request.param
        return
    with Proxy() as proxy:
        with far(proxy.database()):
            yield request.param
        gc.collect()
        proxy.wait_until_all_closed()


@pytest.fixture
def watch():
    Account.objects.create(owner="Ada")
    with Rival() as watch:
        yield watch


def has_ended(watch):
    """Return whether the server ends the statement at once, which it would only after a minute."""
    deadline = time.monotonic() + 5
    while watch.sees_running("pg_sleep"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


async def read(alias):
    await Account.objects.using(alias).annotate(x=sleep(60)).alist()


async def transact(alias):
    async with async_atomic(alias):
        await Account.objects.using(alias).annotate(x=sleep(60)).aget()


async def iterate(alias):
    async for _ in Account.objects.using(alias).annotate(x=sleep(60)).aiterator():
        pass


WORK = [read, transact, iterate]


async def start(work, alias, watch):
    task = asyncio.create_task(work(alias))
    await until(lambda: watch.sees_running("pg_sleep"))
    return task


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_a_task_that_is_cancelled_twice(work, alias, watch, run):
    async def steps():
        for turns in (0, 1, 2, 3, 4):
            task = await start(work, alias, watch)
            task.cancel()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert has_ended(watch)
        # Nothing is left in a bad state.
        assert await asyncio.create_task(Account.objects.using(alias).acount()) == 1
        await at_rest(alias)

    run(steps)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_loop_that_shuts_down_while_it_is_being_cancelled(turns, alias, watch, scratch):
    async def main():
        task = await start(read, alias, watch)
        task.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert has_ended(watch)


def test_a_loop_that_is_closed_while_a_statement_runs(alias, watch):
    async def main():
        tasks.append(await start(read, alias, watch))

    tasks = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    assert has_ended(watch)
    # asyncio complains of tasks that are left.
    drop(tasks.pop())


@pytest.mark.parametrize("work", [read, transact])
def test_a_request_that_was_too_early_is_repeated(work, run, watch, monkeypatch):
    """The server has ignored the first, as it does where the statement has not arrived yet."""
    sent = []

    async def send(pgconn, seconds):
        sent.append(seconds)
        if len(sent) > 1:
            await SEND(pgconn, seconds)

    async def steps():
        await Account.objects.acount()
        driver = async_connections["default"].connection
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await work("default")
        assert not watch.sees_running("pg_sleep")
        assert async_connections["default"].connection is driver
        # None is on its way that would cancel this one.
        await Account.objects.annotate(x=sleep(cancel_request.INTERVAL * 1.5)).alist()
        return [task.get_name() for task in asyncio.all_tasks()]

    monkeypatch.setattr(cancel_request, "send", send)
    assert "turbo_orm-cancelling" not in run(steps)
    assert len(sent) == 2
