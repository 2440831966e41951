"""No connection comes about: the error is Django's, comes in time, and leaves nothing behind."""

import asyncio
import gc
import logging
import time
from contextlib import ExitStack
from functools import partial

import psycopg
import pytest
from django.db import OperationalError

from tests.faults.aliases import FAR, far
from tests.faults.fault import Action, Fault, Toward
from tests.faults.outcomes import at_rest, of_django, of_turbo
from tests.faults.proxy import Proxy
from tests.library.models import Account
from tests.support.clients import until
from turbo_orm import async_atomic
from turbo_orm.driver.pool import loop_pools

LOST = (OperationalError, None)


@pytest.fixture
def proxy(tables):
    with Proxy() as proxy:
        yield proxy
        proxy.wait_until_all_closed()


@pytest.fixture(scope="module")
def stranger(server):
    server.make_user("stranger", "known")


async def count(p, alias="far"):
    await p.call(Account.objects.using(alias), "count")


async def transact(p, alias="far"):
    async with p.atomic(using=alias):
        raise AssertionError("There is no transaction.")


CUTS = {
    "reset": Fault(Action.RESET, Toward.SERVER, message=1),
    "closed": Fault(Action.CLOSE, Toward.SERVER, message=1),
    "half closed": Fault(Action.HALF_CLOSE, Toward.SERVER, message=1),
    "reset when it is accepted": Fault(Action.RESET, Toward.CLIENT, message=1),
    "closed when it is nearly ready": Fault(Action.CLOSE, Toward.CLIENT, pattern=b"TimeZone"),
}


@pytest.mark.parametrize("case", CUTS)
def test_cut_while_connecting(case, proxy, run):
    cut = CUTS[case]

    def fault():
        return proxy.add(
            Fault(cut.action, cut.toward, pattern=cut.pattern, message=cut.message)
        ).struck

    async def steps():
        for play in (count, transact):
            struck = fault()
            assert await of_turbo(play) == LOST
            assert struck.wait(10)
        assert await of_turbo(count) is None

    with far(proxy.database()):
        fault()
        assert of_django(count, "far") == LOST
        run(lambda: asyncio.create_task(steps()))


def test_a_pool_tries_again_and_those_who_wait_get_what_they_wait_for(proxy, run):
    """After a second: psycopg's pool waits for so long before it connects once more."""

    async def steps():
        proxy.add(Fault(Action.RESET, Toward.SERVER, message=1))
        waiting = [asyncio.create_task(of_turbo(lambda p: count(p, FAR[1]))) for _ in range(9)]
        assert await asyncio.gather(*waiting) == [None] * 9
        await at_rest(FAR[1])

    with far(proxy.database()):
        run(steps)


NOT_THERE = {
    "nobody listens": {"PORT": "1"},
    "no such database": {"NAME": "turbo_orm_of_no_account"},
    "the wrong password": {"USER": "stranger", "PASSWORD": "unknown"},
    "no such user": {"USER": "nobody_there"},
}


@pytest.mark.parametrize("case", NOT_THERE)
def test_a_server_that_is_not_there_or_refuses(case, server, stranger, run):
    async def steps():
        assert await of_turbo(count) == LOST
        assert await of_turbo(transact) == LOST
        for play in (count, transact):
            # As many at once as the pool has room for, and more.
            waiting = [
                asyncio.create_task(of_turbo(partial(play, alias=FAR[1]))) for _ in range(5)
            ]
            before = time.monotonic()
            # The pool says that there is none in time, but not why.
            assert await asyncio.gather(*waiting) == [LOST] * 5
            assert time.monotonic() - before < 5
        driver_pool = loop_pools().driver_pools[FAR[1]]
        assert driver_pool.get_stats()["pool_available"] == 0
        pool = loop_pools().pool(FAR[1], driver_pool)
        assert (pool.waiting, pool.holders) == (0, {})

    with far(server.database(**NOT_THERE[case]), timeout=0.1):
        assert of_django(count, "far") == LOST
        run(lambda: asyncio.create_task(steps()))


def test_nothing_arrives_while_connecting(proxy, run, caplog):
    """What ends the wait is a timeout: asyncio's, the driver's, or the pool's."""
    # A record of the log has the exception, which has the connection.
    caplog.set_level(logging.CRITICAL, "psycopg.pool")

    async def pause():
        return proxy.add(Fault(Action.PAUSE, Toward.SERVER, message=1)).struck

    async def cancelled(alias):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await Account.objects.using(alias).acount()

    async def steps():
        for alias in FAR:
            struck = await pause()
            await asyncio.create_task(cancelled(alias))
            assert struck.wait(10)
        await pause()
        # At least two seconds: the driver does not take less.
        driver = asyncio.create_task(of_turbo(count))
        await until(lambda: proxy.accepted == 3)
        assert await of_turbo(lambda p: count(p, FAR[1])) == LOST
        assert await driver == LOST
        assert await of_turbo(count) is None

    with far(proxy.database(connect_timeout=2), timeout=0.3, max_size=1):
        run(lambda: asyncio.create_task(steps()))
    # Those who have given up leave nothing open, though with psycopg it takes a collection.
    proxy.resume()
    gc.collect()


# Too many clients

MANY = 12


async def hold(alias, held, ended):
    async with async_atomic(alias):
        held.append(alias)
        await ended.wait()
        return await Account.objects.using(alias).acount()


def test_too_many_clients(server, run):
    """Those who are too many are told so, and are served when others have ended."""

    async def steps():
        ended, held = asyncio.Event(), []
        tasks = [
            asyncio.create_task(of_turbo(lambda p: hold("far", held, ended)))
            for _ in range(MANY + 3)
        ]
        await until(lambda: len(held) + sum(task.done() for task in tasks) == len(tasks))
        assert len(held) == MANY
        ended.set()
        outcomes = await asyncio.gather(*tasks)
        assert outcomes.count(LOST) == 3
        assert outcomes.count(0) == MANY
        await until_served()

    async def until_served():
        # The server takes a moment to see that a client has left.
        async with asyncio.timeout(10):
            while await asyncio.create_task(of_turbo(count)) == LOST:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    with far(server.database()):
        with ExitStack() as clients:
            for _ in range(MANY):
                clients.enter_context(psycopg.connect(server.dsn))
            assert of_django(count, "far") == LOST
            run(lambda: asyncio.create_task(refused()))
        server.wait_until_all_have_left()
        run(lambda: asyncio.create_task(steps()))


async def refused():
    for play in (count, transact):
        assert await asyncio.create_task(of_turbo(play)) == LOST


def test_a_pool_that_is_larger_than_the_server(server, run):
    """It has as many as it can get, and all are served."""

    async def work(number):
        async with async_atomic(FAR[1]):
            await Account.objects.using(FAR[1]).acreate(owner=f"{number}")
            return await Account.objects.using(FAR[1]).filter(owner=f"{number}").acount()

    async def steps():
        counts = await asyncio.gather(*[asyncio.create_task(work(n)) for n in range(100)])
        assert counts == [1] * 100
        assert await Account.objects.using(FAR[1]).acount() == 100

    with far(server.database(), max_size=MANY + 10):
        run(lambda: asyncio.create_task(steps()))
    server.execute("TRUNCATE library_account")
