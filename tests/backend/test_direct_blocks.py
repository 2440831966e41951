"""Blocks that are entered and left without the bridge: where they are, and what is left behind."""

import itertools
from contextlib import suppress

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django_async_backend.db import async_connections
from psycopg.pq import TransactionStatus

from tests.library.models import Account, Entry
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
        found.savepoint_ids,
        found.atomic_blocks,
        found.run_on_commit,
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


def bridge_only():
    block = async_atomic()

    class Block:
        async def __aenter__(self):
            await bridge.run(block._atomic.__enter__)

        async def __aexit__(self, *exc_info):
            await bridge.run(block._atomic.__exit__, *exc_info)

    return Block()


def test_hooks_are_called_by_django(run, bridged):
    called = []

    async def steps():
        await connect()
        bridged.clear()
        async with async_atomic():
            await Account.objects.acount()
            transaction.on_commit(lambda: called.append("called"))
        return [name for name in bridged if name.startswith("Atomic.")]

    assert run(steps) == ["Atomic.__exit__"]
    assert called == ["called"]


async def fail():
    with suppress(ZeroDivisionError):
        async with async_atomic():
            await insert()
            raise ZeroDivisionError


def test_savepoints_and_errors_are_djangos(run, bridged):
    async def steps():
        await connect()
        bridged.clear()
        async with async_atomic():
            await insert()
            await fail()
        inner = [name for name in bridged if name.startswith("Atomic.")]
        bridged.clear()
        await fail()
        outer = [name for name in bridged if name.startswith("Atomic.")]
        return inner, outer, await Account.objects.acount()

    assert run(steps) == (["Atomic.__enter__", "Atomic.__exit__"], ["Atomic.__exit__"], 1)


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
