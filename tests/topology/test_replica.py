"""A primary and two streaming replicas: what is written is read, however late a replica is."""

import asyncio
import random
from collections import Counter
from contextvars import Context
from time import monotonic

import pytest
from django.db import OperationalError, connections, router, transaction

from tests.library.models import Account
from tests.support.clients import until
from tests.support.waiting import wait_until
from tests.topology.replicas import PRIMARY, REPLICAS, select_what_writes
from turbo_orm import async_atomic, async_connection, run_sync
from turbo_orm.routers import causal_session


async def read():
    """Return which database has answered, and whether it has the row that was written."""
    found = await Account.objects.exclude(owner="another").order_by("-pk").alist()
    return found[0]._state.db, any(each.balance == 7 for each in found)


# Where reads and writes go


def test_reads_go_to_replicas_by_weight(site, run):
    random.seed(20)
    chosen = Counter(site.choice() for _ in range(1000))
    assert chosen.keys() == REPLICAS
    assert 2.2 < chosen["one"] / chosen["two"] < 4

    async def steps():
        assert {(await Account.objects.aget())._state.db for _ in range(40)} == REPLICAS
        assert {await run_sync(lambda: Account.objects.get()._state.db) for _ in range(40)} == (
            REPLICAS
        )
        made = await Account.objects.acreate(owner="new")
        return made._state.db

    assert {Account.objects.get()._state.db for _ in range(40)} == REPLICAS
    assert run(steps) == PRIMARY


def test_a_session_stays_with_its_replica(site):
    random.seed(20)
    for _ in range(5):
        with causal_session():
            assert len({site.choice() for _ in range(20)}) == 1


def test_in_a_transaction_the_primary_is_read(site, run):
    async def steps():
        async with async_atomic(PRIMARY):
            assert (await Account.objects.aget())._state.db == PRIMARY
            assert await run_sync(lambda: Account.objects.get()._state.db) == PRIMARY
        async with async_connection(PRIMARY):
            assert (await Account.objects.aget())._state.db == PRIMARY

    with causal_session():
        run(steps)
    with causal_session():
        with transaction.atomic(PRIMARY):
            assert Account.objects.get()._state.db == PRIMARY
        # It has written nothing.
        assert Account.objects.get()._state.db in REPLICAS


def test_relations_and_migrations(site):
    one = Account.objects.using("one").get()
    assert router.allow_relation(one, Account(owner="new")) is False
    assert router.allow_relation(one, Account.objects.using(PRIMARY).get())
    assert [router.allow_migrate(alias, "library") for alias in (PRIMARY, "one", "default")] == [
        True,
        False,
        True,
    ]


# Own writes


async def create():
    await Account.objects.acreate(owner="new", balance=7)


async def update():
    await Account.objects.filter(owner="Ada").aupdate(balance=7)


async def save():
    account = await Account.objects.using(PRIMARY).aget()
    account.balance = 7
    await account.asave()


async def with_alias():
    await Account.objects.using(PRIMARY).filter(owner="Ada").aupdate(balance=7)


async def in_bulk():
    await Account.objects.abulk_create([Account(owner="new", balance=7)])


async def in_transaction():
    async with async_atomic(PRIMARY):
        await Account.objects.acreate(owner="new", balance=7)


async def in_task():
    await asyncio.gather(create())


async def on_bridge():
    await run_sync(lambda: Account.objects.create(owner="new", balance=7))


async def on_bridge_in_transaction():
    def function():
        with transaction.atomic(PRIMARY):
            Account.objects.create(owner="new", balance=7)

    await run_sync(function)


async def by_cursor():
    def function():
        with connections[PRIMARY].cursor() as cursor:
            cursor.execute("UPDATE library_account SET balance = 7")

    await run_sync(function)


async def by_driver():
    async with async_connection(PRIMARY) as pinned:
        await pinned.connection.execute("UPDATE library_account SET balance = 7")


async def by_function():
    await run_sync(select_what_writes)


ASYNC_WRITES = [
    create,
    update,
    save,
    with_alias,
    in_bulk,
    in_transaction,
    in_task,
    on_bridge,
    on_bridge_in_transaction,
    by_cursor,
    by_driver,
    by_function,
]


@pytest.mark.parametrize("write", ASYNC_WRITES, ids=lambda write: write.__name__)
def test_what_a_task_has_written_it_reads(write, site, run):
    """The first time Django compiles what is cached afterwards, and the pool connects."""

    async def steps():
        with causal_session():
            assert await read() in [("one", False), ("two", False)]
            await write()
            assert await read() == (PRIMARY, True)
            # The replicas are known to be behind, and not only unknown.
            now = monotonic()
            await until(lambda: site.choice() == PRIMARY and site.knows_since(now))
            assert await read() == (PRIMARY, True)
        with causal_session():
            # Whoever has written nothing need not wait.
            assert (await read())[0] in REPLICAS
            assert not (await read())[1]

    site.pause()
    run(steps)


@pytest.mark.parametrize("write", ASYNC_WRITES[:6], ids=lambda write: write.__name__)
def test_once_a_replica_has_it_the_replica_is_read(write, site, run):
    async def steps():
        with causal_session():
            for number in range(3):
                await write()
                seen = [await read()]
                while seen[-1][0] == PRIMARY:
                    await asyncio.sleep(0.01)
                    seen.append(await read())
                assert all(has_it for _, has_it in seen), seen
                await Account.objects.using(PRIMARY).filter(owner="new").adelete()
                await Account.objects.using(PRIMARY).aupdate(balance=number)
            return seen[0][0], seen[-1][0]

    first, last = run(steps)
    assert first == PRIMARY
    assert last in REPLICAS


def test_a_replica_that_is_late_is_read_when_it_has_replayed(site, run):
    """It receives the log at once, and waits for two seconds before it replays a commit."""
    for replica in site.replicas:
        replica.set("recovery_min_apply_delay", "2s")

    async def steps():
        with causal_session():
            began = monotonic()
            await create()
            while True:
                alias, has_it = await read()
                assert has_it, f"{alias} was read too early"
                if alias != PRIMARY:
                    return monotonic() - began
                await asyncio.sleep(0.02)

    try:
        assert run(steps) > 1.9
    finally:
        for replica in site.replicas:
            replica.set("recovery_min_apply_delay", "0")


def test_of_two_replicas_the_one_that_has_it_is_read(site, run):
    site.pause(site.replicas[0])

    async def steps():
        with causal_session():
            await create()
            await until(lambda: site.choice() != PRIMARY)
            return {await read() for _ in range(20)}

    assert run(steps) == {("two", True)}


def test_code_without_a_session_reads_what_the_process_has_written(site, run):
    async def steps():
        task = asyncio.create_task(create())
        await task
        assert await read() == (PRIMARY, True)
        return await asyncio.gather(*[read() for _ in range(5)])

    site.pause()
    assert run(steps) == [(PRIMARY, True)] * 5


async def commit_of_another():
    """Write in a session of its own, so that the replicas get what is in the log before it."""

    async def write():
        with causal_session():
            await Account.objects.acreate(owner="another")

    await asyncio.create_task(write(), context=Context())


def test_an_open_transaction_has_other_tasks_of_its_session_read_the_primary(site, run):
    async def steps():
        written, read_on = asyncio.Event(), asyncio.Event()

        async def write():
            async with async_atomic(PRIMARY):
                await create()
                written.set()
                await read_on.wait()

        task = asyncio.create_task(write())
        await written.wait()
        await commit_of_another()
        now = monotonic()
        await until(lambda: site.choice() and site.knows_of_all_since(now))
        assert site.choice() == PRIMARY
        read_on.set()
        await task
        seen = [await read()]
        while seen[-1][0] == PRIMARY:
            await asyncio.sleep(0.01)
            seen.append(await read())
        return seen

    seen = run(steps)
    assert seen[0] == (PRIMARY, True)
    assert all(has_it for _, has_it in seen)


def test_a_task_that_has_ended_may_have_committed_later(site, run):
    """The watch has asked before the commit, and after the statement."""

    async def steps():
        async def write():
            async with async_atomic(PRIMARY):
                await create()
                await commit_of_another()
                now = monotonic()
                site.positions.use(soon=True)
                await until(lambda: site.knows_of_all_since(now))

        await asyncio.create_task(write())
        return await read()

    assert run(steps) == (PRIMARY, True)


# Replicas that are not there


def test_a_replica_that_is_stopped_is_left_out(site, run):
    one, two = site.replicas
    one.stop()

    async def steps():
        failed = 0
        for _ in range(60):
            try:
                assert (await Account.objects.aget())._state.db in REPLICAS
            except OperationalError:
                failed += 1
            await asyncio.sleep(0)
        # By the first that fails it is known.
        assert failed <= 1
        assert {site.choice() for _ in range(40)} == {"two"}

    try:
        run(steps)
    finally:
        two.stop()
    try:
        failures = 0
        for _ in range(10):
            try:
                assert Account.objects.get()._state.db == PRIMARY
            except OperationalError:
                failures += 1
        assert failures <= 2
    finally:
        one.start()
        two.start()
    wait_until(lambda: {site.choice() for _ in range(40)} == REPLICAS)
    assert {Account.objects.get()._state.db for _ in range(40)} == REPLICAS


def test_the_watch_leaves_out_what_does_not_answer(site, run):
    one, _ = site.replicas

    async def steps():
        now = monotonic()
        await until(lambda: site.choice() in REPLICAS and site.knows_since(now))
        one.kill()
        await until(lambda: {site.choice() for _ in range(40)} == {"two"})

    try:
        run(steps)
    finally:
        one.start()
