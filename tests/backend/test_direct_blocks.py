"""Blocks that are entered and left without the bridge: where they are, and what is left behind."""

import itertools
from contextlib import suppress
from functools import partial
from random import Random

import psycopg
import pytest
from django.db import Error, IntegrityError, connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django_async_backend.db import async_connections
from psycopg.pq import TransactionStatus

from tests.library.models import Account, Entry
from tests.support.tables import empty
from turbo_orm import async_atomic, bridge

pytestmark = pytest.mark.usefixtures("scratch")

owners = map(str, itertools.count())


@pytest.fixture
def bridged(monkeypatch):
    """The functions of blocks that the bridge has run since the list was cleared."""
    found = []
    run = bridge.run

    async def note(function, *args, **kwargs):
        found.append(function.__qualname__)
        return await run(function, *args, **kwargs)

    monkeypatch.setattr(bridge, "run", note)
    return found


async def connect():
    await Account.objects.acount()
    await Account.objects.acount()
    await Account.objects.acount()


async def insert():
    await Account.objects.acreate(owner=next(owners), balance=1)


async def connect_and_insert():
    await connect()
    async with async_atomic():
        await insert()


def state():
    found = async_connections["default"]
    return (
        found.in_atomic_block,
        found.autocommit,
        found.connection.autocommit,
        found.connection.info.transaction_status,
        found.needs_rollback,
        found.closed_in_transaction,
        found.errors_occurred,
        [*found.savepoint_ids],
        [*found.atomic_blocks],
        [*found.run_on_commit],
        found.run_commit_hooks_on_set_autocommit_on,
        found.state,
        dict(found.pins),
    )


def test_a_block_needs_no_bridge_and_leaves_the_state_that_djangos_leaves(run, bridged):
    async def steps():
        await connect()
        async with bridge_only():
            await insert()
        expected, inside_expected = state(), None
        async with bridge_only():
            inside_expected = state()
        await insert()
        bridged.clear()
        async with async_atomic():
            inside = state()
            await Account.objects.acount()
        blocks = [name for name in bridged if name.startswith("Atomic.")]
        # The blocks themselves are two objects.
        assert inside[:8] + inside[9:] == inside_expected[:8] + inside_expected[9:]
        return blocks, state() == expected, await Account.objects.acount()

    assert run(steps) == ([], True, 2)


def block(savepoint=True):
    return async_atomic(savepoint=savepoint)


def bridge_only(savepoint=True):
    block = async_atomic(savepoint=savepoint)

    class Block:
        async def __aenter__(self):
            await bridge.run(block._atomic.__enter__)

        async def __aexit__(self, *exc_info):
            await bridge.run(block._atomic.__exit__, *exc_info)

    return Block()


def test_hooks_are_called_after_the_commit_on_the_bridge(run, bridged):
    called = []

    async def hook():
        found = async_connections["default"]
        called.append((found.in_atomic_block, found.autocommit, bridge.active()))
        await Account.objects.acount()

    async def steps():
        await connect()
        bridged.clear()
        async with async_atomic():
            await Account.objects.acount()
            transaction.on_commit(hook)
        hooked = [name for name in bridged if name in {"_call_hooks", "Atomic.__exit__"}]
        return hooked, await state_after(bridge_only(), hook) == await state_after(block(), hook)

    assert run(steps) == (["_call_hooks"], True)
    assert called == [(False, True, True)] * 3


async def state_after(block, hook):
    async with block:
        transaction.on_commit(hook)
        await Account.objects.acount()
    return state()


@pytest.mark.parametrize("is_robust", [False, True])
def test_a_hook_that_raises(run, is_robust, caplog):
    def fail():
        raise ZeroDivisionError

    called = []

    async def left_by(block):
        called.clear()
        try:
            async with block:
                await insert()
                transaction.on_commit(fail, robust=is_robust)
                transaction.on_commit(lambda: called.append("called"))
        except ZeroDivisionError:
            called.append("raised")
        after = state()
        await insert()
        async with async_atomic():
            await insert()
        return after, state(), list(called)

    async def steps():
        await connect()
        return await left_by(bridge_only()), await left_by(block())

    djangos, ours = run(steps)
    assert ours == djangos
    assert called == (["called"] if is_robust else ["raised"])
    assert len(caplog.records) == 2 * is_robust


async def fail():
    with suppress(ZeroDivisionError):
        async with async_atomic():
            await insert()
            raise ZeroDivisionError


def test_savepoints_and_errors_need_no_bridge(run, bridged):
    async def steps():
        await connect()
        bridged.clear()
        async with async_atomic():
            await insert()
            await fail()
            async with async_atomic(), async_atomic(savepoint=False):
                await insert()
        await fail()
        return [name for name in bridged if "tomic" in name], await Account.objects.acount()

    assert run(steps) == ([], 2)


def test_a_durable_block_is_refused_inside_another(run):
    async def steps():
        await connect()
        async with async_atomic(durable=True):
            await insert()
            with pytest.raises(RuntimeError, match="durable atomic block cannot be nested"):
                async with async_atomic(durable=True):
                    pass
            await insert()
        return await Account.objects.acount()

    assert run(steps) == 2


class Played(Exception):
    """Ends a block."""


class Program:
    """Nested blocks that write, fail, register hooks and query in the end, drawn by a seed."""

    def __init__(self, seed, block_of):
        self.random = Random(seed)
        self.block_of = block_of
        self.seen = []
        self.names = map(str, itertools.count())

    def note(self):
        found = async_connections["default"]
        names = [each and each.partition("_")[0] for each in found.savepoint_ids]
        pending = [(len(ids), hook.function.args, robust) for ids, hook, robust in hooks(found)]
        numbered = found.savepoint_state
        blocks = [(each.savepoint, each.durable) for each in found.atomic_blocks]
        seen = state()
        self.seen.append((*seen[:7], names, blocks, pending, numbered, *seen[10:]))

    async def step(self, depth):
        drawn = self.random.random()
        if drawn < 0.3 and depth < 4:
            await self.block(depth + 1)
        elif drawn < 0.5:
            await Account.objects.acreate(owner=next(self.names), balance=depth)
        elif drawn < 0.6:
            transaction.on_commit(partial(self.seen.append, f"hook {next(self.names)}"))
        elif drawn < 0.7:
            raise Played
        elif drawn < 0.8:
            # The transaction is aborted, be it caught or not.
            await Account.objects.acreate(owner=next(self.names), balance=1 << 40)
        elif drawn < 0.85:
            transaction.set_rollback(True)
        elif drawn < 0.9:
            await bridge.run(self.nested_on_bridge)

    def nested_on_bridge(self):
        with transaction.atomic():
            Account.objects.create(owner=next(self.names))
            bridge.await_(self.block(4))

    async def block(self, depth=0):
        savepoint, swallows = self.random.random() < 0.8, self.random.random() < 0.5
        try:
            async with self.block_of(self.random, savepoint):
                for _ in range(self.random.randrange(4)):
                    self.note()
                    try:
                        await self.step(depth)
                    except (Played, Error) as exc:
                        self.seen.append(repr(exc))
                        if self.random.random() < 0.8:
                            raise
        except (Played, Error) as exc:
            self.seen.append(repr(exc))
            self.note()
            if depth and not swallows:
                raise
        self.note()

    async def play(self):
        await connect()
        await self.block()
        rows = [each async for each in Account.objects.order_by("owner").values_list()]
        return self.seen, [row[1:] for row in rows]


def hooks(found):
    return [hook for hook in found.run_on_commit if isinstance(hook[1].function, partial)]


@pytest.mark.parametrize("seed", range(40))
def test_blocks_of_both_kinds_nest_in_each_other(run, seed, scratch):
    """What is left by each statement is what Django's own blocks leave."""
    played = []
    for block_of in (
        lambda random, savepoint: bridge_only(savepoint),
        lambda random, savepoint: block(savepoint),
        lambda random, savepoint: alternating(savepoint),
    ):
        turns = itertools.count()

        def alternating(savepoint, turns=turns):
            return (block if next(turns) % 2 else bridge_only)(savepoint)

        played.append(run(Program(seed, block_of).play))
        empty("default")
    djangos, ours, mixed = played
    assert ours == djangos
    assert mixed == djangos


def test_statements_that_are_logged_are_djangos(run):
    async def steps():
        await connect()
        with CaptureQueriesContext(connection) as captured:
            async with async_atomic():
                await insert()
        with override_settings(DEBUG=True):
            before = len(connection.queries)
            async with async_atomic():
                await insert()
            debug = [query["sql"] for query in connection.queries[before:]]
        return [query["sql"][:6] for query in captured], [sql[:6] for sql in debug]

    logged = ["BEGIN", "INSERT", "COMMIT"]
    assert run(steps) == (logged, logged)


def test_a_commit_that_fails_leaves_nothing_open(run):
    """A constraint that is deferred is checked by COMMIT."""

    async def steps():
        await connect()
        with pytest.raises(IntegrityError):
            async with async_atomic():
                await Entry.objects.acreate(account_id=0, amount=1)
        status = async_connections["default"].connection.info.transaction_status
        async with async_atomic():
            await insert()
        return status, await Account.objects.acount(), await Entry.objects.acount()

    assert run(steps) == (TransactionStatus.IDLE, 1, 0)


def test_a_block_without_statements_sends_nothing(run):
    async def steps():
        await connect()
        found = async_connections["default"]
        async with async_atomic():
            status = found.connection.info.transaction_status
        return status, found.connection.info.transaction_status, found.autocommit

    assert run(steps) == (TransactionStatus.IDLE, TransactionStatus.IDLE, True)


def test_django_whose_atomic_was_replaced_is_asked(run, monkeypatch):
    called = []
    enter = transaction.Atomic.__enter__

    def counting(atomic):
        called.append(atomic)
        return enter(atomic)

    monkeypatch.setattr(transaction.Atomic, "__enter__", counting)

    run(connect_and_insert)
    assert len(called) == 1


def test_a_commit_of_the_driver_that_was_replaced_is_called(run, monkeypatch):
    called = []
    commit = psycopg.AsyncConnection.commit

    async def counting(driver):
        called.append(driver)
        await commit(driver)

    monkeypatch.setattr(psycopg.AsyncConnection, "commit", counting)

    run(connect_and_insert)
    assert len(called) == 1
