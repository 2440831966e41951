"""Which connection a task uses: its own, and none but its own."""

import asyncio
from contextlib import aclosing, suppress
from contextvars import Context

import django
import pytest
from django.db import connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from tests.library.models import Account
from tests.support.clients import until
from tests.support.statements import ask
from turbo_orm import async_atomic, async_connection, bridge
from turbo_orm.backend.task_connections import async_connections, in_context
from turbo_orm.driver.pool import loop_pools

pytestmark = pytest.mark.usefixtures("scratch")

ALIASES = ["default", "pooled"]


class OfNoAccount(Exception):
    """Raised by the tests alone."""


def accounts(number=6):
    Account.objects.bulk_create(Account(owner=f"{i}", balance=i) for i in range(number))


def server_process():
    """Return the server's process behind the connection, by a statement."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def statements_of(alias):
    """Return what several tasks can ask at once."""
    accounts = Account.objects.using(alias).order_by("pk")
    return {
        "alist": accounts.alist,
        "acount": accounts.acount,
        "afirst": accounts.afirst,
        "aexists": accounts.filter(owner="3").aexists,
        "values": accounts.values("owner").alist,
        "aget": lambda: accounts.aget(owner="2"),
        "ain_bulk": lambda: accounts.ain_bulk([1, 2]),
        "aupdate": lambda: accounts.filter(owner="5").aupdate(balance=50),
    }


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("connected", [True, False])
def test_gathered_terminals_run_side_by_side(alias, connected, run):
    accounts()

    async def steps():
        if connected:
            await Account.objects.using(alias).acount()
        found = await asyncio.gather(*[ask() for ask in statements_of(alias).values()])
        return dict(zip(statements_of(alias), found, strict=True))

    found = run(steps)
    assert [account.owner for account in found["alist"]] == ["0", "1", "2", "3", "4", "5"]
    assert found["acount"] == 6
    assert found["aget"].owner == "2"
    assert found["aupdate"] == 1
    assert Account.objects.get(owner="5").balance == 50


def test_gathered_terminals_are_on_the_way_at_once(run):
    """Each of two waits, in the database, for the other one to come."""

    def meet(mine, other):
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [mine])
            for _ in range(1000):
                cursor.execute(
                    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"
                    " AND pid <> pg_backend_pid()",
                    [other],
                )
                if cursor.fetchone():
                    break
                bridge.await_(asyncio.sleep(0.005))
            else:
                raise AssertionError("The other one never came.")
            bridge.await_(asyncio.sleep(0.05))
            cursor.execute("SELECT pg_advisory_unlock(%s)", [mine])

    async def steps():
        await Account.objects.acount()
        await asyncio.gather(bridge.run(meet, 1, 2), bridge.run(meet, 2, 1))

    run(steps)


def test_without_a_pool_a_task_keeps_its_connection_until_it_ends(run):
    async def work():
        first = await bridge.run(server_process)
        assert await bridge.run(server_process) == first
        mine.append(async_connections["default"])
        assert mine[-1].connection is not None
        return first

    mine = []

    async def steps():
        here = await bridge.run(server_process)
        there = await asyncio.gather(work(), work())
        assert len({here, *there}) == 3
        await asyncio.sleep(0)
        assert [connection.connection for connection in mine] == [None, None]
        assert await bridge.run(server_process) == here

    run(steps)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("outcome", ["returns", "raises", "is cancelled"])
def test_a_connection_is_given_back_when_its_task_ends(alias, outcome, run):
    async def work():
        await Account.objects.using(alias).acount()
        mine.append(async_connections[alias].connection)
        if outcome == "raises":
            raise OfNoAccount
        if outcome == "is cancelled":
            await asyncio.Event().wait()

    mine = []

    async def steps():
        task = asyncio.create_task(work())
        await until(lambda: bool(mine))
        if outcome == "is cancelled":
            task.cancel()
        with suppress(OfNoAccount, asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        if alias == "default":
            assert mine[0].closed
        else:
            await until(all_are_back)

    run(steps)


def all_are_back():
    stats = async_connections["pooled"].pool.get_stats()
    return stats["pool_available"] == stats["pool_size"]


# Inside a transaction

BLOCKS = {
    "async_atomic": async_atomic,
    "async_connection": async_connection,
}


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("name", statements_of("default"))
def test_gathering_inside_a_block_says_what_to_do(alias, block, name, run):
    accounts()

    async def steps():
        async with BLOCKS[block](alias):
            results = await asyncio.gather(
                statements_of(alias)[name](), statements_of(alias)[name](), return_exceptions=True
            )
            # The block itself goes on.
            assert await Account.objects.using(alias).acount() == 6
        return results

    for exc in run(steps):
        assert type(exc) is TransactionManagementError
        message = str(exc)
        what = "transaction" if block == "async_atomic" else "async_connection() block"
        assert f"A {what} on '{alias}' is open in Task-" in message
        assert __file__ in message
        assert f"`async with async_connection('{alias}'):`" in message
    assert Account.objects.get(owner="5").balance == 5


def test_a_task_that_was_started_before_the_transaction_has_its_own_connection(run):
    accounts(1)

    async def count(started, opened):
        started.set()
        await opened.wait()
        return await Account.objects.acount()

    async def steps():
        await Account.objects.acount()
        started, opened = asyncio.Event(), asyncio.Event()
        child = asyncio.create_task(count(started, opened))
        await started.wait()
        async with async_atomic():
            await Account.objects.acreate(owner="not yet committed")
            opened.set()
            return await child

    assert run(steps) == 1


def test_a_task_that_outlives_the_transaction_that_it_was_started_in(run):
    async def count(ended):
        await ended.wait()
        return await Account.objects.acount()

    async def steps():
        ended = asyncio.Event()
        async with async_atomic():
            await Account.objects.acreate(owner="Ada")
            child = asyncio.create_task(count(ended))
            await asyncio.sleep(0)
        ended.set()
        return await child

    assert run(steps) == 1


def test_a_transaction_of_another_database_is_none_of_its_business(run):
    async def steps():
        async with async_atomic("other"):
            return await asyncio.gather(Account.objects.acount(), Account.objects.acount())

    assert run(steps) == [0, 0]


def test_inside_djangos_atomic_on_the_bridge_a_task_is_refused_too(run):
    async def child():
        await Account.objects.acreate(owner="child")

    def function():
        with transaction.atomic():
            Account.objects.create(owner="Ada")
            task = asyncio.ensure_future(child())
            with pytest.raises(TransactionManagementError, match=r"test_task_connections\.py"):
                bridge.await_(task)

    run(lambda: bridge.run(function))
    assert list(Account.objects.values_list("owner", flat=True)) == ["Ada"]


@pytest.mark.parametrize("alias", ALIASES)
def test_a_task_may_have_a_connection_apart_from_its_parents_transaction(alias, run):
    async def log():
        async with async_connection(alias):
            await Account.objects.using(alias).acreate(owner="log")
            async with async_atomic(alias):
                await Account.objects.using(alias).acreate(owner="log, too")

    async def steps():
        async with async_atomic(alias):
            await Account.objects.using(alias).acreate(owner="Ada")
            await asyncio.create_task(log())
            raise OfNoAccount

    with pytest.raises(OfNoAccount):
        run(steps)
    assert set(Account.objects.values_list("owner", flat=True)) == {"log", "log, too"}


def test_a_transaction_that_its_task_never_left_is_rolled_back(run):
    async def leave_it():
        await async_atomic().__aenter__()
        await Account.objects.acreate(owner="Ada")
        mine.append(async_connections["default"].connection)

    mine = []

    async def steps():
        await asyncio.create_task(leave_it())
        await asyncio.sleep(0)
        assert mine[0].closed
        return await Account.objects.acount()

    assert run(steps) == 0


@pytest.mark.skipif(django.VERSION < (6, 1), reason="new in the backend for 6.1")
def test_the_backends_own_way_to_another_connection(run):
    from django_async_backend.db import async_new_connection

    async def log():
        await Account.objects.acreate(owner="log")
        return await bridge.run(server_process)

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(owner="Ada")
            here = await bridge.run(server_process)
            assert await async_new_connection(log()) != here
            assert await bridge.run(server_process) == here
            raise OfNoAccount

    with pytest.raises(OfNoAccount):
        run(steps)
    assert list(Account.objects.values_list("owner", flat=True)) == ["log"]


# async_connection()


def session_state():
    with connections["pooled"].cursor() as cursor:
        cursor.execute("SHOW work_mem")
        (work_mem,) = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM pg_class WHERE relname = 'passing'")
        (tables,) = cursor.fetchone()
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        (locks,) = cursor.fetchone()
        cursor.execute("SHOW TimeZone")
        (zone,) = cursor.fetchone()
        return work_mem, tables, locks, zone


def change_session_state():
    with connections["pooled"].cursor() as cursor:
        cursor.execute("SET work_mem = '77MB'")
        cursor.execute("CREATE TEMPORARY TABLE passing (x int)")
        cursor.execute("SELECT pg_advisory_lock(7)")
        cursor.execute("SET TIME ZONE 'Asia/Tokyo'")


def test_a_block_holds_one_connection_for_the_state_of_its_session(run):
    async def steps():
        before = await bridge.run(session_state)
        async with async_connection("pooled") as held:
            driver = held.connection
            await bridge.run(change_session_state)
            async with async_connection("pooled") as again, async_atomic("pooled"):
                assert again is held
            assert await bridge.run(session_state) == ("77MB", 1, 1, "Asia/Tokyo")
            assert held.connection is driver
        # Whoever has it next finds nothing of that.
        barrier = asyncio.Barrier(4)

        async def look():
            async with async_connection("pooled") as held:
                await barrier.wait()
                return held.connection is driver, await bridge.run(session_state)

        found = await asyncio.gather(*[look() for _ in range(4)])
        assert sorted(found) == [(False, before)] * 3 + [(True, before)]

    run(steps)


def test_a_block_yields_the_connection_of_the_backend(run):
    accounts(3)

    async def steps():
        async with async_connection() as held:
            opened = held.cursor()
            # That of Django 5.2 need not be awaited.
            async with opened if hasattr(opened, "__aenter__") else await opened as cursor:
                await cursor.execute("SELECT owner FROM library_account ORDER BY id")
                return await cursor.fetchall()

    assert run(steps) == [("0",), ("1",), ("2",)]


def test_copying_through_a_held_connection(run):
    async def steps():
        statement = "COPY library_account (owner, balance) FROM STDIN"
        async with (
            async_connection() as held,
            held.connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            await copy.write_row(["Ada", 1])
            await copy.write_row(["Bo", 2])
        return await Account.objects.acount()

    assert run(steps) == 2


def test_a_block_in_a_transaction_is_the_transactions_connection(run):
    async def steps():
        async with async_atomic("pooled"):
            await Account.objects.using("pooled").acreate(owner="Ada")
            async with async_connection("pooled") as held:
                assert held.in_atomic_block
                assert await Account.objects.using("pooled").acount() == 1
            assert held.connection is not None
            assert await Account.objects.using("pooled").acount() == 1
        # Its session is reset before somebody else gets it, so it was given back at once.
        assert held.connection is None

    run(steps)


# Being watched


def test_a_parents_capture_sees_what_its_tasks_ask(run):
    async def steps():
        with CaptureQueriesContext(connection) as captured:
            await Account.objects.acount()
            await asyncio.gather(Account.objects.acount(), Account.objects.aexists())
            async with asyncio.TaskGroup() as group:
                group.create_task(Account.objects.acreate(owner="Ada"))
        await Account.objects.acount()
        return [query["sql"].split()[0] for query in captured.captured_queries]

    assert run(steps) == ["SELECT", "SELECT", "SELECT", "INSERT"]


def test_a_parents_execute_wrapper_sees_what_its_tasks_ask(run):
    seen = []

    def wrapper(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    async def steps():
        with connection.execute_wrapper(wrapper):
            await asyncio.gather(Account.objects.acount(), Account.objects.aexists())
        await asyncio.gather(Account.objects.acount(), Account.objects.aexists())

    run(steps)
    assert len(seen) == 2


# An iterator


@pytest.mark.parametrize("alias", ALIASES)
def test_an_iterator_keeps_its_connection_while_its_rows_come(alias, run):
    accounts()

    async def steps():
        found = []
        accounts = Account.objects.using(alias).order_by("pk")
        async with aclosing(accounts.aiterator(chunk_size=2)) as stream:
            async for account in stream:
                found.append(account.owner)
                # Each of these would take an idle connection away.
                await asyncio.gather(*[accounts.acount() for _ in range(3)])
                account.balance += 100
                await account.asave()
        return found

    assert run(steps) == ["0", "1", "2", "3", "4", "5"]
    assert Account.objects.filter(balance__gte=100).count() == 6


def test_an_iterator_that_outlives_the_transaction_of_its_task(run):
    """What the task has left open no code will end: the connection goes with the cursor."""

    async def leave():
        block = async_atomic()
        await block.__aenter__()
        iterator = Account.objects.order_by("pk").aiterator(chunk_size=1)
        await anext(iterator)
        return iterator, async_connections["default"]

    async def steps():
        await Account.objects.abulk_create([Account(owner="A"), Account(owner="B")])
        iterator, wrapper = await asyncio.create_task(leave())
        driver = wrapper.connection
        assert not driver.closed
        await iterator.aclose()
        assert wrapper.connection is None
        await asyncio.sleep(0)
        assert driver.closed

    run(steps)


def test_a_session_that_was_changed_before_a_transaction_that_is_left_open(run):
    """The pool only rolls back: the session is reset before, by the connection."""

    async def leave():
        await async_connection("pooled").__aenter__()
        await ask("SET turbo_orm.mark = 'left'", using="pooled")
        await async_atomic("pooled").__aenter__()
        await Account.objects.using("pooled").acount()

    async def steps():
        await asyncio.create_task(leave())
        driver_pool = loop_pools().get("pooled").driver_pool

        def is_complete():
            stats = driver_pool.get_stats()
            return stats["pool_available"] == stats["pool_size"] > 0

        await until(is_complete)
        for driver in driver_pool._pool:
            cursor = await driver.execute("SELECT current_setting('turbo_orm.mark', true)")
            assert await cursor.fetchone() in [(None,), ("",)]

    run(steps)


def test_to_look_at_a_connection_makes_none(run):
    async def steps():
        assert connection.vendor == "postgresql"
        assert connection.settings_dict["ENGINE"]
        assert connection.features.has_bulk_insert
        assert connection.ops.quote_name("x") == '"x"'
        assert list(connection.queries) == []
        assert not connection.in_atomic_block
        assert not connection.force_debug_cursor
        assert connections.all(initialized_only=True) == []
        assert [found.alias for found in connections.all()] == [*connections]
        await asyncio.create_task(Account.objects.acount())
        return dict(in_context.get())

    # Nothing of what tests have left in the context of all.
    assert Context().run(run, steps) == {}


def test_what_was_looked_at_becomes_the_tasks_connection_once_it_is_used(run):
    async def steps():
        one, other = connections["default"], connections["default"]
        assert one.queries == other.queries == []
        one.force_debug_cursor = True
        other.label = "of a tool"
        async_connection = async_connections["default"]
        assert {found.async_connection for found in (one, other)} == {async_connection}
        assert one.label == connection.label == "of a tool"
        assert type(one) is type(other) is type(connections["default"])
        await Account.objects.acount()
        return len(one.queries), len(other.queries), len(connection.queries)

    assert run(steps) == (1, 1, 1)


def test_an_execute_wrapper_on_what_was_only_looked_at(run):
    seen = []

    def watch(execute, sql, *args):
        seen.append(sql)
        return execute(sql, *args)

    async def steps():
        looked_at = connections["default"]
        with looked_at.execute_wrapper(watch):
            await Account.objects.acount()
            await asyncio.gather(Account.objects.acount(), Account.objects.aexists())
        await Account.objects.acount()

    run(steps)
    assert len(seen) == 3
