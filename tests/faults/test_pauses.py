"""The network is slow, or nothing arrives any more: what waits is ended by a timeout, and by what.

After a cancellation the driver asks the server to cancel the statement, and waits for 5 seconds
until it has; then it gives the connection up. Tests of that wait at the same time.
"""

import asyncio
from contextlib import aclosing, suppress
from itertools import chain

import pytest
from django.db import OperationalError

from tests.faults.aliases import FAR, far
from tests.faults.fault import Action, Fault, Toward
from tests.faults.outcomes import at_rest
from tests.faults.proxy import Proxy
from tests.library.models import Account
from turbo_orm import async_atomic

pytestmark = pytest.mark.usefixtures("scratch")


@pytest.fixture
def proxy(tables):
    with Proxy() as proxy:
        yield proxy
        proxy.wait_until_all_closed()


def owners():
    return list(Account.objects.order_by("pk").values_list("owner", flat=True))


def accounts(alias):
    return Account.objects.using(alias)


class OfNoAccount(Exception):
    """Raised by the tests alone."""


async def read(alias):
    await accounts(alias).alist()


async def write(alias):
    await accounts(alias).acreate(owner="never")


async def iterate(alias):
    async with aclosing(accounts(alias).aiterator(chunk_size=1)) as arriving:
        async for _ in arriving:
            pass


async def transact(alias):
    async with async_atomic(alias):
        await accounts(alias).acreate(owner=f"{alias} never")
        await asyncio.Event().wait()


WAITING = [read, write, iterate, transact]


def test_a_timeout_ends_what_waits_for_a_network_that_is_gone(proxy, run):
    Account.objects.create(owner="Ada")

    async def wait(function, alias, barrier, paused):
        async with async_atomic(alias):
            # Each has a connection of its own here. It keeps it, since nobody waits for one then.
            await accounts(alias).acount()
            await barrier.wait()
        await barrier.wait()
        await paused.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await function(alias)
        # There is a new connection at once.
        assert await accounts(alias).acount() == 1

    async def steps():
        barrier, paused = asyncio.Barrier(len(WAITING) * len(FAR) + 1), asyncio.Event()
        tasks = [
            asyncio.create_task(wait(function, alias, barrier, paused))
            for function in WAITING
            for alias in FAR
        ]
        await barrier.wait()
        await barrier.wait()
        proxy.pause()
        paused.set()
        await asyncio.gather(*tasks)
        proxy.reset()
        for alias in FAR:
            await at_rest(alias)

    with far(proxy.database(), max_size=2 * len(WAITING)):
        run(steps)
    assert owners() == ["Ada"]


@pytest.mark.parametrize("alias", FAR)
@pytest.mark.parametrize("way", ["fails", "is cancelled"])
def test_a_transaction_that_ends_without_a_server_does_not_look_for_one(way, alias, proxy, run):
    """What ends it is not replaced by the failure to connect, and not kept waiting for it."""

    async def fail():
        async with async_atomic(alias):
            await accounts(alias).acreate(owner="never")
            proxy.refuses = True
            proxy.reset()
            if way == "fails":
                raise OfNoAccount
            await asyncio.Event().wait()

    async def work():
        await accounts(alias).acount()
        with pytest.raises((OfNoAccount, TimeoutError)):
            async with asyncio.timeout(0.2):
                await fail()
        with pytest.raises(OperationalError):
            await accounts(alias).acount()
        proxy.refuses = False

    async def steps():
        await asyncio.create_task(work())
        assert await served() == 0

    async def served():
        # The pool tries again after a second, then after two, and so on.
        for _ in range(10):
            with suppress(OperationalError):
                return await accounts(alias).acount()

    with far(proxy.database(), max_size=1, timeout=1):
        run(steps)


def test_a_slow_network_changes_nothing(proxy, run):
    async def work(alias):
        async with async_atomic(alias):
            await accounts(alias).abulk_create([Account(owner=f"{alias} {i}") for i in range(3)])
            own = accounts(alias).filter(owner__startswith=f"{alias} ").order_by("pk")
            async with aclosing(own.aiterator(chunk_size=1)) as arriving:
                return [account.owner async for account in arriving]

    async def steps():
        slow = [
            proxy.add(Fault(Action.DELAY, toward, pattern=b"BEGIN", seconds=0.003))
            for toward in [*Toward] * len(FAR)
        ]
        found = await asyncio.gather(*[asyncio.create_task(work(alias)) for alias in FAR])
        assert all(fault.struck.wait(10) for fault in slow)
        return found

    wanted = [[f"{alias} {i}" for i in range(3)] for alias in FAR]
    with far(proxy.database()):
        assert run(steps) == wanted
    assert sorted(owners()) == sorted(chain(*wanted))
