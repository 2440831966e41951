"""Cancelled, closed, or side by side with another task: no connection is left in a bad state."""

import asyncio
import gc
import inspect
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from itertools import count

import pytest
from django.db import IntegrityError, InternalError, connection, transaction
from django_async_backend.db import async_connections
from psycopg.pq import TransactionStatus

from tests.library.models import Account
from tests.support.cancellation import CancelledAt, uncancel
from tests.support.clients import Rival, separate_task
from tests.support.sleeping import sleep
from turbo_orm import async_atomic, bridge

ADA = {"owner": "Ada", "balance": 1}
BO = {"owner": "Bo", "balance": 2}
CY = {"owner": "Cy", "balance": 3}


SLEEP = sleep(60)


class OfNoAccount(Exception):
    """Raised by the tests alone."""


def ada():
    Account.objects.create(**ADA)


def owners():
    return list(Account.objects.order_by("pk").values_list("owner", flat=True))


def transaction_status():
    driver = async_connections["default"].connection
    return None if driver is None or driver.closed else driver.info.transaction_status


async def times_out(awaitable):
    """Await what sleeps in the database, for a shorter time than that."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await awaitable


def sleepers():
    return Account.objects.annotate(x=SLEEP)


async def iterate():
    async with aclosing(sleepers().aiterator(chunk_size=1)) as accounts:
        async for _ in accounts:
            pass


async def loop_over(queryset):
    async for _ in queryset:
        pass


def raw():
    return Account.objects.raw("SELECT id, pg_sleep(60) FROM library_account")


SLEEPERS = {
    "alist": lambda: sleepers().alist(),
    "async for": lambda: loop_over(sleepers()),
    "aget": lambda: sleepers().aget(),
    "aiterator": iterate,
    "raw": lambda: loop_over(raw()),
    "aupdate": lambda: sleepers().filter(x="").aupdate(balance=5),
    "adelete": lambda: sleepers().filter(x="").adelete(),
    "acreate": lambda: Account.objects.acreate(owner=SLEEP),
    "abulk_create": lambda: Account.objects.abulk_create([Account(owner=SLEEP)]),
    "aget_or_create": lambda: Account.objects.aget_or_create(
        owner="Eve", defaults={"owner": SLEEP}
    ),
    "sync code in a transaction": lambda: bridge.run(write_and_sleep),
}


def write_and_sleep():
    with transaction.atomic():
        Account.objects.create(**BO)
        with transaction.atomic():
            Account.objects.create(**CY)
            list(sleepers())


@pytest.mark.parametrize("case", SLEEPERS)
def test_cancelled_in_mid_statement(case, scratch, run):
    ada()

    async def steps():
        await Account.objects.acount()
        driver = async_connections["default"].connection
        await times_out(SLEEPERS[case]())
        assert not watch.sees_running("pg_sleep")
        assert transaction_status() is TransactionStatus.IDLE
        assert not async_connections["default"].in_atomic_block
        assert await Account.objects.aget() == Account(pk=1)
        assert async_connections["default"].connection is driver

    with Rival() as watch:
        run(steps)
    assert list(Account.objects.values_list("owner", "balance")) == [("Ada", 1)]


@pytest.mark.parametrize("case", SLEEPERS)
def test_cancelled_in_a_transaction(case, scratch, run):
    ada()

    async def write():
        async with asyncio.timeout(0.05), async_atomic():
            await Account.objects.acreate(owner="Di")
            await SLEEPERS[case]()

    async def steps():
        # Not while it connects.
        await Account.objects.acount()
        with pytest.raises(TimeoutError):
            await write()
        assert transaction_status() is TransactionStatus.IDLE
        assert not async_connections["default"].in_atomic_block
        async with async_atomic():
            await Account.objects.acreate(owner="Eve")

    run(steps)
    assert owners() == ["Ada", "Eve"]


@pytest.mark.parametrize("case", SLEEPERS)
def test_cancelled_in_a_savepoint(case, scratch, run):
    """What is outside of the savepoint is kept."""
    ada()

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(owner="Di")
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05), async_atomic():
                    await Account.objects.acreate(owner="never")
                    await SLEEPERS[case]()
            await Account.objects.acreate(owner="Eve")

    run(steps)
    assert owners() == ["Ada", "Di", "Eve"]


def test_cancelled_in_mid_transaction_without_a_savepoint(scratch, run):
    """The block is broken, and nothing of it is committed, even where nobody passes it on."""
    ada()

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(**BO)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await sleepers().alist()
            with pytest.raises(InternalError):
                await Account.objects.acreate(**CY)

    run(steps)
    assert owners() == ["Ada"]


def test_cancelled_while_it_waits_for_a_lock(scratch, run):
    ada()

    async def lock():
        async with asyncio.timeout(0.1), async_atomic():
            await Account.objects.select_for_update().aget(owner="Ada")

    async def steps():
        with pytest.raises(TimeoutError):
            await lock()
        assert not rival.is_waited_for()
        assert await Account.objects.acount() == 1

    with Rival("UPDATE library_account SET balance = 100") as rival:
        run(steps)


def test_a_cancelled_task_leaves_its_transaction(scratch, run):
    async def write(written):
        async with async_atomic():
            await Account.objects.acreate(**ADA)
            written.set()
            await asyncio.Event().wait()

    async def steps():
        written = asyncio.Event()
        task = separate_task(write(written))
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await Account.objects.acount() == 0

    run(steps)


async def write():
    await Account.objects.acreate(**ADA)
    with suppress(IntegrityError):
        await Account.objects.acreate(**ADA)
    await Account.objects.filter(owner="Ada").aupdate(balance=5)
    await Account.objects.aget(owner="Ada")


async def transact():
    async with async_atomic():
        await Account.objects.acreate(**ADA)
        with suppress(IntegrityError):
            async with async_atomic():
                await Account.objects.acreate(**ADA)
        await Account.objects.aupdate_or_create(owner="Bo", defaults=BO)
        await Account.objects.abulk_create([Account(**CY), Account(owner="Di")], batch_size=1)
        await Account.objects.filter(owner="Di").adelete()
        async with aclosing(Account.objects.order_by("pk").aiterator(chunk_size=1)) as accounts:
            async for account in accounts:
                account.balance += 1
                await account.asave()


async def cancel_everywhere(make, check):
    """Play steps again and again, each time cancelled at the next await."""
    for number in count(1):
        cancelled = CancelledAt(make(), number)
        with suppress(asyncio.CancelledError):
            await cancelled
        uncancel()
        connection = async_connections["default"]
        assert transaction_status() in {None, TransactionStatus.IDLE}, number
        assert not connection.in_atomic_block, number
        assert connection.savepoint_ids == connection.atomic_blocks == [], number
        check({account.owner async for account in Account.objects.all()}, number)
        await Account.objects.all().adelete()
        if cancelled.suspensions < number:
            return number


def test_a_transaction_cancelled_at_any_place(scratch, run):
    def check(left, number):
        assert left in (set(), {"Ada", "Bo", "Cy"}), number

    assert run(lambda: cancel_everywhere(transact, check)) > 20


def test_single_statements_cancelled_at_any_place(scratch, run):
    def check(left, number):
        assert left in (set(), {"Ada"}), number

    assert run(lambda: cancel_everywhere(write, check)) > 3


def test_connecting_cancelled_at_any_place(scratch, run):
    async def connect():
        await async_connections["default"].close()
        await Account.objects.acreate(**ADA)

    def check(left, number):
        assert left in (set(), {"Ada"}), number

    assert run(lambda: cancel_everywhere(connect, check)) > 2


# An iterator that is left


def open_cursors():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("in_a_transaction", [True, False])
def test_an_iterator_that_is_left_and_forgotten(in_a_transaction, scratch, run):
    """The event loop closes it then, and its cursor with it, in a task of its own."""
    Account.objects.bulk_create(Account(owner=f"{number}") for number in range(6))
    complaints = []

    async def leave():
        async for _ in Account.objects.order_by("pk").aiterator(chunk_size=2):
            break
        count = await Account.objects.acount()
        for _ in range(500):
            if await bridge.run(open_cursors) == 0:
                return count
            await asyncio.sleep(0.01)
        raise AssertionError("The cursor stays open.")

    async def steps():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: complaints.append(context))
        return await (async_atomic(leave) if in_a_transaction else leave)()

    assert run(steps) == 6
    assert complaints == []


# A coroutine that is closed where it waits


def nap():
    return Account.objects.annotate(x=sleep(0.2))


def write_and_nap():
    with transaction.atomic():
        Account.objects.create(**BO)
        list(nap())


WAITING = {
    "alist": lambda: nap().alist(),
    "acount": lambda: Account.objects.acount(),
    "sync code in a transaction": lambda: bridge.run(write_and_nap),
}


@pytest.mark.parametrize("case", WAITING)
def test_a_coroutine_that_is_closed_where_it_waits(case, scratch, run):
    """Nobody can await its rollback: the connection has to be closed, and a new one works."""
    ada()

    async def steps():
        await Account.objects.acount()
        coroutine = WAITING[case]()
        coroutine.send(None)
        with suppress(RuntimeError):
            coroutine.close()
        await async_connections["default"].close()
        assert await Account.objects.acount() == 1

    run(steps)
    assert owners() == ["Ada"]


async def step_through():
    async with aclosing(Account.objects.aiterator(chunk_size=1)) as accounts:
        async for _ in accounts:
            pass


def test_a_cursor_of_a_coroutine_that_is_closed_wherever_it_waits(scratch, run):
    """It is closed with it: one that is not says so when it is collected, which is an error."""
    ada()

    @types.coroutine
    def close_at(number, coroutine):
        for _ in range(number - 1):
            try:
                yield coroutine.send(None)
            except StopIteration:
                return False
        with suppress(StopIteration):
            coroutine.send(None)
        # What it awaits then is closed, too.
        while inspect.getcoroutinestate(coroutine) != inspect.CORO_CLOSED:
            with suppress(RuntimeError):
                coroutine.close()
        return True

    async def steps():
        for number in count(1):
            await Account.objects.acount()
            if not await close_at(number, step_through()):
                return number
            await async_connections["default"].close()
            gc.collect()
            assert await Account.objects.acount() == 1

    assert run(steps) > 3


def test_a_coroutine_that_was_never_started_is_closed(run):
    async def steps():
        Account.objects.acount().close()

    run(steps)


# Tasks


def test_two_tasks_have_a_transaction_each(scratch, run):
    async def write(owner, barrier, fails):
        async with async_atomic():
            await Account.objects.acreate(owner=owner)
            await barrier.wait()
            seen = [account.owner async for account in Account.objects.all()]
            driver = async_connections["default"].connection
            await barrier.wait()
            if fails:
                raise OfNoAccount
        return seen, driver.info.backend_pid

    async def steps():
        barrier = asyncio.Barrier(3)
        tasks = [
            separate_task(write(owner, barrier, owner == "Cy")) for owner in ("Ada", "Bo", "Cy")
        ]
        return await asyncio.gather(*tasks, return_exceptions=True)

    (ada_saw, ada_pid), (bo_saw, bo_pid), of_cy = run(steps)
    assert (ada_saw, bo_saw) == (["Ada"], ["Bo"])
    assert ada_pid != bo_pid
    assert isinstance(of_cy, OfNoAccount)
    assert sorted(owners()) == ["Ada", "Bo"]


def test_many_tasks_of_which_some_fail_and_some_are_cancelled(scratch, run):
    async def write(number, barrier):
        async with async_atomic():
            await Account.objects.acreate(owner=f"{number}")
            with suppress(OfNoAccount):
                async with async_atomic():
                    await Account.objects.acreate(owner=f"{number} never")
                    raise OfNoAccount
            await barrier.wait()
            if number % 3 == 1:
                raise OfNoAccount
            if number % 3 == 2:
                await sleepers().alist()

    async def steps():
        barrier = asyncio.Barrier(12)
        tasks = [separate_task(write(number, barrier)) for number in range(12)]
        await asyncio.wait([task for number, task in enumerate(tasks) if number % 3 != 2])
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return [task.cancelled() for task in tasks]

    assert run(steps) == [number % 3 == 2 for number in range(12)]
    assert sorted(map(int, owners())) == [0, 3, 6, 9]


def test_an_iterator_whose_steps_are_taken_by_several_tasks(scratch, run):
    """It stays with the connection that it began on, or says that it cannot."""
    Account.objects.bulk_create(Account(owner=f"{number}") for number in range(6))

    async def steps():
        async with aclosing(Account.objects.order_by("pk").aiterator(chunk_size=1)) as accounts:
            found = [(await anext(accounts)).owner]
            try:
                found.append((await separate_task(anext(accounts))).owner)
            except RuntimeError as exc:
                assert "task" in str(exc)  # noqa: PT017
                return None
            found += [account.owner async for account in accounts]
        return found

    assert run(steps) in (None, [f"{number}" for number in range(6)])


def test_event_loops_in_several_threads(scratch):
    async def work(number):
        try:
            for _ in range(5):
                async with async_atomic():
                    await Account.objects.acreate(owner=f"{number}")
                    found = [account.owner async for account in Account.objects.all()]
                    assert found == [f"{number}"]
                    await Account.objects.all().adelete()
            return async_connections["default"].connection.info.backend_pid
        finally:
            await async_connections["default"].close()

    with ThreadPoolExecutor() as pool:
        pids = list(pool.map(lambda number: asyncio.run(work(number)), range(4)))
    assert len(set(pids)) == 4
    assert owners() == []
