"""The connection that all tasks of a test share: it is never left to one that does not need it."""

import asyncio
import gc
from contextlib import aclosing, suppress
from types import coroutine

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import IntegrityError, connection, transaction

from tests.conformance.driving import wait_blocking, without_loop
from tests.library.models import Account
from tests.support.clients import until
from turbo_orm import async_atomic, async_connection
from turbo_orm.backend import shared_connection
from turbo_orm.backend.connection_state import Owner, State
from turbo_orm.backend.shared_connection import shared_connections
from turbo_orm.backend.task_connections import async_connections

BLOCKS = [async_atomic, async_connection]


@pytest.fixture(autouse=True)
def shared(scratch, monkeypatch):
    """Share the connection of a transaction, as a test case does. It is free at the end."""
    view = shared_connection._AsyncView
    # Where there is no event loop, psycopg blocks.
    monkeypatch.setattr(view, "wait", view.wait)
    wait_blocking(view)
    test = transaction.atomic()
    test._from_testcase = True
    with shared_connections(["default"]):
        shared = async_connections.shared["default"]
        test.__enter__()
        try:
            Account.objects.bulk_create(Account(owner=owner) for owner in ("Ada", "Bo", "Cy"))
            yield shared
            assert count_without_loop() == 3
            assert (shared.state, shared.owner, shared.pins) == (State.IDLE, Owner.UNCLAIMED, {})
            assert shared.block is None
        finally:
            transaction.set_rollback(True)
            test.__exit__(None, None, None)


def count_without_loop():
    """Drive a coroutine without an event loop, and so without a task."""
    return without_loop(Account.objects.acount())


async def in_time(coroutine):
    async with asyncio.timeout(10):
        return await coroutine


@coroutine
def suspended():
    """Wait for what never comes."""
    yield "nothing"


async def hold(block, begun=None, ended=None):
    async with block():
        assert await Account.objects.acount() == 3
        if begun is not None:
            begun.set()
            await ended.wait()
        else:
            await suspended()


def begin(holder):
    """Drive a coroutine into its block without an event loop."""
    while (waits_for := holder.send(None)) is None:
        pass
    assert waits_for == "nothing"


# Code that no task runs


@pytest.mark.parametrize("block", BLOCKS)
def test_a_coroutine_that_is_collected(block):
    holder = hold(block)
    begin(holder)
    del holder
    gc.collect()
    assert asyncio.run(in_time(Account.objects.acount())) == 3


@pytest.mark.parametrize("block", BLOCKS)
def test_a_coroutine_that_is_closed(block):
    holder = hold(block)
    begin(holder)
    holder.close()
    assert asyncio.run(in_time(Account.objects.acount())) == 3


@pytest.mark.parametrize("block", BLOCKS)
def test_a_coroutine_that_is_suspended_in_its_block_keeps_no_task_waiting(block):
    holder = hold(block)
    begin(holder)
    assert asyncio.run(in_time(Account.objects.acount())) == 3
    holder.close()


def test_an_iterator_that_is_left_open_keeps_nothing():
    async def first_row(iterator):
        return await anext(iterator)

    async def main():
        # The task's, while the iterator of the thread that waits for it is open.
        assert await Account.objects.acount() == 3
        return await sync_to_async(count_without_loop)()

    iterator = Account.objects.order_by("pk").aiterator(chunk_size=1)
    assert without_loop(first_row(iterator)).owner == "Ada"
    assert async_to_sync(main)() == 3
    assert without_loop(first_row(iterator)).owner == "Bo"
    without_loop(iterator.aclose())


@pytest.mark.parametrize("block", BLOCKS)
def test_code_without_an_event_loop_that_would_have_to_wait_names_the_owner(block, shared):
    async def main():
        holder = asyncio.create_task(hold(block, begun, ended), name="the holder")
        await begun.wait()
        with pytest.raises(RuntimeError) as caught:
            await asyncio.to_thread(count_without_loop)
        ended.set()
        await holder
        return str(caught.value)

    begun, ended = asyncio.Event(), asyncio.Event()
    message = asyncio.run(in_time(main()))
    assert "The connection to 'default' that this test shares is owned by the holder" in message
    assert f"for a block that has acquired it at {__file__}:" in message
    assert "cannot wait for it" in message


# Tasks


@pytest.mark.parametrize("block", BLOCKS)
def test_a_task_whose_loop_is_closed(block):
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    begun = asyncio.Event()
    holder = loop.create_task(hold(block, begun, asyncio.Event()))
    loop.run_until_complete(begun.wait())
    loop.close()
    assert not holder.done()
    assert count_without_loop() == 3
    assert asyncio.run(in_time(Account.objects.acount())) == 3
    # What is left of the block ends when the task is collected.
    del holder
    gc.collect()


def pop_block():
    """End the savepoint that a task has left behind."""
    connection.atomic_blocks.pop()
    connection.savepoint_ids.pop()


@pytest.mark.parametrize("block", BLOCKS)
def test_a_task_that_is_cancelled_in_its_block(block):
    async def main():
        begun = asyncio.Event()
        holder = asyncio.create_task(hold(block, begun, asyncio.Event()))
        await begun.wait()
        waiting = asyncio.create_task(Account.objects.acount())
        await asyncio.sleep(0)
        holder.cancel()
        with suppress(asyncio.CancelledError):
            await holder
        return await waiting

    assert asyncio.run(in_time(main())) == 3


def test_a_task_that_is_cancelled_when_its_turn_has_come():
    async def main():
        begun, ended = asyncio.Event(), asyncio.Event()
        holder = asyncio.create_task(hold(async_connection, begun, ended))
        await begun.wait()
        first, second = (asyncio.create_task(Account.objects.acount()) for _ in range(2))
        await until(lambda: len(async_connections.shared["default"]._queue._waiters) == 2)
        ended.set()
        # It is handed over in the holder's last step, which the first does not know of yet.
        holder.add_done_callback(lambda _: first.cancel())
        with suppress(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(in_time(main())) == 3


def test_a_task_that_ends_inside_its_transaction():
    async def leave_it():
        await async_atomic().__aenter__()
        await Account.objects.acount()
        await asyncio.sleep(0.01)

    async def main():
        left = asyncio.create_task(leave_it())
        await asyncio.sleep(0.005)
        waiting = [asyncio.create_task(Account.objects.acount()) for _ in range(3)]
        await left
        return await asyncio.gather(*waiting)

    assert asyncio.run(in_time(main())) == [3, 3, 3]
    pop_block()


def test_a_task_may_query_while_another_iterates():
    async def main():
        found = []
        async with aclosing(Account.objects.order_by("pk").aiterator(chunk_size=1)) as accounts:
            async for account in accounts:
                found.append((account.owner, await asyncio.create_task(Account.objects.acount())))
        return found

    assert asyncio.run(in_time(main())) == [("Ada", 3), ("Bo", 3), ("Cy", 3)]


def test_an_iterator_waits_for_another_tasks_transaction():
    async def fail(begun, ended):
        async with async_atomic():
            begun.set()
            with pytest.raises(IntegrityError):
                await Account.objects.acreate(owner="Ada")
            # Until the savepoint is rolled back, each statement is an error.
            await ended.wait()
            transaction.set_rollback(True)

    async def main():
        begun, ended = asyncio.Event(), asyncio.Event()
        async with aclosing(Account.objects.order_by("pk").aiterator(chunk_size=1)) as accounts:
            assert (await anext(accounts)).owner == "Ada"
            failing = asyncio.create_task(fail(begun, ended))
            await begun.wait()
            row = asyncio.create_task(anext(accounts))
            await asyncio.sleep(0.02)
            assert not row.done()
            ended.set()
            await failing
            return (await row).owner

    assert asyncio.run(in_time(main())) == "Bo"


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_waits_for_that_of_a_task_that_it_has_nothing_to_do_with(block):
    async def other(started):
        await started.wait()
        async with async_connection():
            order.append("the other one begins")
            assert await Account.objects.acount() == 3

    async def main():
        begun, ended = asyncio.Event(), asyncio.Event()
        waiting = asyncio.create_task(other(begun))
        await asyncio.sleep(0)
        holder = asyncio.create_task(hold(block, begun, ended))
        await begun.wait()
        await asyncio.sleep(0.02)
        order.append("the first one ends")
        ended.set()
        await asyncio.gather(holder, waiting)

    order = []
    asyncio.run(in_time(main()))
    assert order == ["the first one ends", "the other one begins"]


def test_a_guest_may_enter_blocks_of_its_own():
    async def log():
        async with async_connection():
            async with async_connection():
                assert await Account.objects.acount() == 3
            return await Account.objects.acount()

    async def main():
        async with async_atomic():
            assert await Account.objects.acount() == 3
            return await asyncio.create_task(log())

    assert asyncio.run(in_time(main())) == 3
