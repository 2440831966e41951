"""Blocks of ``async_pipeline()``, cancelled at each of their switches, killed and cut off."""

import asyncio
import gc
from contextlib import suppress

import hypothesis
import pytest
from django.db import DataError, Error, InternalError, OperationalError, connections
from django.db.models import F
from django.db.transaction import TransactionManagementError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.faults.aliases import FAR, far
from tests.faults.fault import Action, Fault, Toward
from tests.faults.proxy import Proxy
from tests.faults.trial import Trial
from tests.library.models import Account
from tests.support.cancellation import CancelledAt, at_once, too_late, uncancel
from tests.support.clients import Rival, until
from tests.support.statements import ask
from turbo_orm import async_atomic, async_pipeline, run_sync
from turbo_orm.backend.task_connections import async_connections

ALIASES = ["default", "pooled"]
WAYS = [at_once, too_late]


def accounts(alias):
    return Account.objects.using(alias)


def by_cursor(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("UPDATE library_account SET balance = balance + 1000")


def children(alias):
    return [
        accounts(alias).acount(),
        accounts(alias).acreate(owner="gathered 1"),
        accounts(alias).filter(pk__gt=0).aupdate(balance=F("balance") + 1),
        run_sync(by_cursor, alias),
        accounts(alias).order_by("pk").alist(),
        accounts(alias).acreate(owner="gathered 2"),
    ]


async def outside(alias):
    async with async_pipeline(alias):
        await asyncio.gather(*children(alias))


async def in_a_transaction(alias):
    async with async_atomic(alias), async_pipeline(alias):
        await asyncio.gather(*children(alias))


async def after_a_statement(alias):
    async with async_atomic(alias):
        await accounts(alias).acreate(owner="before")
        async with async_pipeline(alias):
            await asyncio.gather(*children(alias))
        await accounts(alias).acreate(owner="after")


async def in_groups(alias):
    async with async_atomic(alias), async_pipeline(alias), asyncio.TaskGroup() as group:
        for child in children(alias):
            group.create_task(child)


PLAYED = [in_a_transaction, after_a_statement, in_groups]


def assert_at_rest(alias):
    """Assert that the running task's connection is as before the block, and nothing else runs."""
    connection = async_connections[alias]
    assert connection.pipeline is None
    assert connection.pins == {}
    assert not connection.is_dirty
    driver = connection.connection
    if driver is not None and not driver.closed:
        assert not driver.lock.locked()
        assert driver._reader.pipeline is None
        assert driver.pgconn.pipeline_status == 0
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert [name for name in names if name.startswith("turbo_orm") and "pool" not in name] == []


# Cancelled


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("played", PLAYED, ids=lambda played: played.__name__)
def test_all_or_nothing_is_written(played, alias, snapshot, run):
    async def play():
        try:
            await played(alias)
        finally:
            assert_at_rest(alias)

    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(play)
        assert done != snapshot.kept
        for way in WAYS:
            found = await trial.cancel_everywhere(play, way=way, anew=True)
            assert found[-1] == done
            assert [left for left in found if left not in (snapshot.kept, done)] == []
        # A cursor of a child may still be about to end then: the end of the transaction waits.
        found = await trial.cancel_everywhere(lambda: played(alias), again=(1, 2), anew=True)
        assert [left for left in found if left not in (snapshot.kept, done)] == []
        return trial.cancellations

    assert run(steps) >= 4


@pytest.mark.parametrize("alias", ALIASES)
def test_outside_of_a_transaction_each_is_written_or_not(alias, snapshot, run):
    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(lambda: outside(alias))
        for way in WAYS:
            found = await trial.cancel_everywhere(lambda: outside(alias), way=way, anew=True)
            assert found[-1] == done
            for left in found:
                owners = {row.split(",")[1] for row in left["library_account"]}
                assert owners <= {row.split(",")[1] for row in done["library_account"]}
            assert_at_rest(alias)
        return trial.cancellations

    assert run(steps) >= 2


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("is_in_transaction", [True, False])
@pytest.mark.parametrize("is_direct", [True, False])
def test_a_child_is_cancelled_anywhere(is_direct, is_in_transaction, alias, snapshot, run):
    """What others execute is not. A cursor's is, which aborts a transaction."""

    async def cancelled_child(number, way, suspensions):
        child = ask("SELECT 1", using=alias) if is_direct else run_sync(by_cursor, alias)
        steps = CancelledAt(child, number, way=way)
        try:
            await steps
        except asyncio.CancelledError:
            uncancel()
        suspensions.append(steps.suspensions)

    async def block(number, way, suspensions):
        async with async_pipeline(alias):
            return await asyncio.gather(
                accounts(alias).acount(),
                cancelled_child(number, way, suspensions),
                accounts(alias).acreate(owner="other"),
                accounts(alias).acount(),
                return_exceptions=True,
            )

    async def play(number, way, suspensions):
        if not is_in_transaction:
            return await block(number, way, suspensions)
        async with async_atomic(alias):
            found = await block(number, way, suspensions)
            if isinstance(found[-1], Exception):
                raise found[-1]
        return found

    async def steps():
        trial = Trial(alias, snapshot)
        number = len(snapshot.kept["library_account"])
        for way in WAYS:
            for place in range(1, 30):
                suspensions = []
                try:
                    found = await play(place, way, suspensions)
                except Error:
                    # Only a cursor's statement is cancelled on the server.
                    assert is_in_transaction, place
                    assert not is_direct, place
                else:
                    count, _, made, count_after = found
                    assert (count, count_after) == (number, number + 1), place
                    assert made.owner == "other"
                assert_at_rest(alias)
                await trial.assert_clean(place)
                snapshot.put_back()
                if suspensions[0] < place:
                    break
            assert place > 1

    run(steps)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("is_in_transaction", [True, False])
@pytest.mark.parametrize("is_awaited", [True, False])
def test_a_block_in_a_timeout(is_awaited, is_in_transaction, alias, given, run):
    """It ends long before the statement would, and the server has nothing to do any more."""
    elapsed = []

    async def block(orphans):
        async with async_pipeline(alias):
            slow = [ask(f"SELECT 'overdue', pg_sleep({n})", using=alias) for n in (20, 21, 22)]
            tasks = [asyncio.create_task(each) for each in slow]
            orphans.extend(tasks)
            if is_awaited:
                await asyncio.gather(*tasks)
            else:
                await asyncio.sleep(0.01)

    async def play(orphans):
        if not is_in_transaction:
            await block(orphans)
            return
        async with async_atomic(alias):
            await accounts(alias).acreate(owner="never")
            await block(orphans)

    async def steps():
        loop = asyncio.get_running_loop()
        await accounts(alias).acount()
        began = loop.time()
        orphans = []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await play(orphans)
        elapsed.append(loop.time() - began)
        assert not rival.sees_running("overdue")
        for found in await asyncio.gather(*orphans, return_exceptions=True):
            assert isinstance(found, (asyncio.CancelledError, OperationalError, Error))
        assert_at_rest(alias)
        assert not await accounts(alias).filter(owner="never").aexists()

    with Rival() as rival:
        run(steps)
    assert elapsed[0] < 15


def test_what_no_task_waits_for_is_cancelled_at_the_end(given, run):
    async def steps():
        async with async_pipeline():
            task = asyncio.create_task(ask("SELECT 'overdue', pg_sleep(30)"))
            await until(lambda: rival.sees_running("overdue"))
            task.cancel()
        assert not rival.sees_running("overdue")
        assert_at_rest("default")
        return await asyncio.gather(task, ask("SELECT 1"), return_exceptions=True)

    with Rival() as rival:
        cancelled, answer = run(steps)
    assert type(cancelled) is asyncio.CancelledError
    assert answer == [("1",)]


# Lost


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("is_in_transaction", [True, False])
def test_a_killed_backend(is_in_transaction, alias, given, run):
    async def block():
        async with async_pipeline(alias):
            pid = async_connections[alias].connection.pgconn.backend_pid
            tasks = [
                asyncio.create_task(each)
                for each in [
                    accounts(alias).acount(),
                    ask("SELECT 'killed', pg_sleep(30)", using=alias),
                    accounts(alias).acount(),
                    accounts(alias).acreate(owner="never"),
                ]
            ]
            await until(lambda: rival.sees_running("killed"))
            rival.terminate(pid)
            found = await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(Error):
                await accounts(alias).acount()
            return found

    async def play():
        if not is_in_transaction:
            return await block()
        found = []
        # The transaction is lost: that is said at its end, as by Django.
        with suppress(Error):
            async with async_atomic(alias):
                await accounts(alias).acreate(owner="never, either")
                found = await block()
                raise found[1]
        return found

    async def steps():
        number = await accounts(alias).acount()
        count, *lost = await play()
        assert count == number + is_in_transaction
        for error in lost:
            assert type(error) is OperationalError
        assert_at_rest(alias)
        async with async_pipeline(alias):
            counts = await asyncio.gather(accounts(alias).acount(), accounts(alias).acount())
        assert counts == [number, number]

    with Rival() as rival:
        run(steps)


@pytest.fixture(scope="module")
def proxy(tables):
    with Proxy() as proxy, far(proxy.database()):
        yield proxy


@pytest.mark.parametrize("alias", FAR)
@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE])
@pytest.mark.parametrize("place", ["in a row", "behind a row", "while it is sent"])
def test_the_network_fails(place, action, alias, proxy, given, run):
    text = "x" * 50_000
    faults = {
        "in a row": Fault(action, Toward.CLIENT, passed=120_000),
        "behind a row": Fault(action, Toward.CLIENT, pattern=b"row 12", after=True),
        "while it is sent": Fault(action, Toward.SERVER, passed=150_000),
    }

    async def block():
        async with async_pipeline(alias):
            return await asyncio.gather(
                *[ask("SELECT %s, %s", f"row {n}", text, using=alias) for n in range(20)],
                return_exceptions=True,
            )

    async def steps():
        async with async_pipeline(alias):
            # It is known from here on that no pooler is there.
            await accounts(alias).acount()
        fault = proxy.add(faults[place])
        found = await block()
        # A connection that was opened, and that no code has, would warn.
        gc.collect()
        assert fault.struck.is_set()
        lost = [each for each in found if isinstance(each, BaseException)]
        assert_at_rest(alias)
        assert lost
        assert {type(each) for each in lost} == {OperationalError}
        for n, answer in enumerate(found):
            assert answer in lost or answer == [(f"row {n}", text)]
        # With another connection.
        again = await block()
        assert [number for [(number, _)] in again] == [f"row {n}" for n in range(20)]

    try:
        run(steps)
    finally:
        proxy._faults.clear()


# Programs

OPERATIONS = st.sampled_from(["add", "double", "count", "create", "get", "cursor", "fail"])
PROGRAMS = st.lists(st.tuples(OPERATIONS, st.integers(0, 2)), min_size=1, max_size=12)


async def operate(operation, number, place):
    """Return what one operation answers: an exception's class where it raises."""
    account = accounts("default").filter(owner=f"of {number}")
    try:
        match operation:
            case "add":
                return await account.aupdate(balance=F("balance") + 1)
            case "double":
                return await account.aupdate(balance=F("balance") * 2)
            case "count":
                return await accounts("default").filter(owner__startswith="of").acount()
            case "create":
                return (await accounts("default").acreate(owner=f"of new {place}")).owner
            case "get":
                return (await account.aget()).balance
            case "cursor":
                return await run_sync(by_cursor, "default")
            case _:
                return await ask("SELECT 1 / (SELECT 0)")
    except DataError:
        return "failed"
    except (InternalError, TransactionManagementError):
        # Django knows that a transaction is aborted, unless the statement was sent before.
        return "aborted"


@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_programs_are_done_in_order_of_start(is_in_transaction, given, run):
    """Each operation is one statement, so gathered they are what they are one after the other."""

    async def begin():
        await accounts("default").filter(owner__startswith="of").adelete()
        for number in range(3):
            await accounts("default").acreate(owner=f"of {number}", balance=number)

    async def outcome(play):
        await begin()
        found = []
        with suppress(Error):
            if is_in_transaction:
                async with async_atomic():
                    found = await play()
                    if "failed" in found:
                        raise Error
            else:
                found = await play()
        rows = accounts("default").filter(owner__startswith="of").order_by("owner")
        return found, [(each.owner, each.balance) for each in await rows.alist()]

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @hypothesis.given(program=PROGRAMS)
    def check(program):
        async def in_turn():
            return [await operate(*each, place) for place, each in enumerate(program)]

        async def gathered():
            async with async_pipeline():
                return await asyncio.gather(
                    *[operate(*each, place) for place, each in enumerate(program)]
                )

        async def steps():
            expected = await outcome(in_turn)
            assert await outcome(gathered) == expected
            assert_at_rest("default")

        run(steps)

    check()
