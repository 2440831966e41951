"""The server ends statements and sessions: by a limit, by a client, or for the others' sake."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import InternalError, OperationalError, connections
from django.db.models import Case, F, Value, When
from psycopg import IsolationLevel, errors

from tests.faults.aliases import FAR, far
from tests.faults.outcomes import at_rest, of_django, of_turbo
from tests.library.models import Account
from tests.support.clients import Rival, until
from tests.support.scenario import TurboPlayer
from tests.support.sleeping import sleep
from turbo_orm import async_atomic

pytestmark = pytest.mark.usefixtures("scratch")


def entry(limit="", **options):
    """Return the default database, with a limit that its sessions have."""
    default = connections.settings["default"]
    if limit:
        options["options"] = f"-c {limit}"
    return {**default, "OPTIONS": {**default["OPTIONS"], **options}}


def accounts(alias):
    return Account.objects.using(alias)


def owners():
    return list(Account.objects.order_by("pk").values_list("owner", flat=True))


def ada():
    Account.objects.all().delete()
    Account.objects.create(owner="Ada")


def ask(alias, question):
    with connections[alias].cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def wait(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def read_slowly(p, alias, rival):
    await p.list(accounts(alias).annotate(x=sleep(5)))


async def write_slowly(p, alias, rival):
    async with p.atomic(using=alias):
        await p.call(accounts(alias), "create", owner="Bo")
        await read_slowly(p, alias, rival)


async def iterate_slowly(p, alias, rival):
    async with p.atomic(using=alias):
        await p.call(accounts(alias), "create", owner="Bo")
        is_slow = Case(When(owner="Bo", then=sleep(5)), default=Value(""))
        await p.iterate(accounts(alias).order_by("pk").annotate(x=is_slow), chunk_size=1)


async def wait_for_a_lock(p, alias, rival):
    async with p.atomic(using=alias):
        await p.call(accounts(alias), "create", owner="Bo")
        await p.list(accounts(alias).filter(owner="Ada").select_for_update())


async def process(p, alias):
    """Return the server's process that serves a connection."""
    return await p.run(lambda: ask(alias, "SELECT pg_backend_pid()"))


async def idle(p, alias, rival):
    pid = await process(p, alias)
    await p.run(lambda: wait(lambda: rival.has_ended(pid)))
    await p.call(accounts(alias), "count")


async def idle_in_a_transaction(p, alias, rival):
    async with p.atomic(using=alias):
        await p.call(accounts(alias), "create", owner="Bo")
        await idle(p, alias, rival)


async def terminated_by_another(p, alias, rival):
    async with p.atomic(using=alias):
        await p.call(accounts(alias), "create", owner="Bo")
        rival.terminate(await process(p, alias))
        await p.call(accounts(alias), "create", owner="Cy")


async def terminate(p, alias, rival):
    await p.run(lambda: ask(alias, "SELECT pg_terminate_backend(pg_backend_pid())"))


async def terminate_in_a_transaction(p, alias, rival):
    async with p.atomic(using=alias):
        await p.call(accounts(alias), "create", owner="Bo")
        await terminate(p, alias, rival)


async def cancel(p, alias, rival):
    await p.run(lambda: ask(alias, "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)"))


async def cancel_in_a_savepoint(p, alias, rival):
    """What is outside of it is kept."""
    async with p.atomic(using=alias):
        await p.call(accounts(alias), "create", owner="Bo")
        with suppress(OperationalError):
            async with p.atomic(using=alias):
                await p.call(accounts(alias), "create", owner="never")
                await cancel(p, alias, rival)


CANCELED = (OperationalError, errors.QueryCanceled.sqlstate)
TERMINATED = (OperationalError, errors.AdminShutdown.sqlstate)


@dataclass
class Limit:
    """What ends some steps, what they raise then, and the rows that are left."""

    setting: str
    steps: Any
    outcome: Any
    left: list[str] = field(default_factory=lambda: ["Ada"])
    aliases: list[str] = field(default_factory=lambda: FAR)


LIMITS = {
    "statement_timeout": Limit("statement_timeout=150", read_slowly, CANCELED),
    "statement_timeout in a transaction": Limit("statement_timeout=150", write_slowly, CANCELED),
    "statement_timeout in an iterator": Limit("statement_timeout=150", iterate_slowly, CANCELED),
    "lock_timeout": Limit(
        "lock_timeout=40", wait_for_a_lock, (OperationalError, errors.LockNotAvailable.sqlstate)
    ),
    # Not an OperationalError: that is how the driver sees it.
    "idle_in_transaction_session_timeout": Limit(
        "idle_in_transaction_session_timeout=40",
        idle_in_a_transaction,
        (InternalError, errors.IdleInTransactionSessionTimeout.sqlstate),
    ),
    "idle_session_timeout": Limit(
        "idle_session_timeout=40",
        idle,
        (OperationalError, errors.IdleSessionTimeout.sqlstate),
        # What is idle in a pool is ended, too: it would be chance who gets that.
        aliases=["far"],
    ),
    "terminated": Limit("", terminate, TERMINATED),
    "terminated in a transaction": Limit("", terminate_in_a_transaction, TERMINATED),
    "terminated by another client": Limit("", terminated_by_another, TERMINATED),
    "cancelled": Limit("", cancel, CANCELED),
    "cancelled in a savepoint": Limit("", cancel_in_a_savepoint, None, ["Ada", "Bo"]),
}


@pytest.mark.parametrize("case", LIMITS)
def test_a_statement_that_is_ended(case, run):
    limit = LIMITS[case]
    play, left = limit.steps, limit.left

    async def work(alias):
        outcome = await of_turbo(lambda p: play(p, alias, rival))
        assert await accounts(alias).acount() == len(left)
        return outcome

    async def steps(alias):
        outcome = await asyncio.create_task(work(alias))
        await at_rest(alias)
        return outcome

    with far(entry(limit.setting)):
        ada()
        with Rival("SELECT 1 FROM library_account WHERE owner = 'Ada' FOR UPDATE") as rival:
            expected = of_django(lambda p: play(p, "far", rival), "far")
            assert (expected, owners()) == (limit.outcome, left)
            for alias in limit.aliases:
                Account.objects.exclude(owner="Ada").delete()
                assert run(lambda alias=alias: steps(alias)) == expected
                assert owners() == left


# By another client, in mid-statement

ENDED = {"cancelled": (Rival.cancel, CANCELED), "terminated": (Rival.terminate, TERMINATED)}


@pytest.mark.parametrize("way", ENDED)
def test_by_another_client_in_mid_statement(way, run):
    end, expected = ENDED[way]

    async def work(alias, pids):
        p = TurboPlayer()
        pids.append(await process(p, alias))
        outcome = await of_turbo(lambda p: read_slowly(p, alias, None))
        # A statement that was cancelled has not cost the connection.
        assert (await process(p, alias) == pids[-1]) is (way == "cancelled")
        return outcome

    async def steps(alias):
        pids = []
        task = asyncio.create_task(work(alias, pids))
        await until(lambda: pids and rival.sees_running("pg_sleep"))
        end(rival, pids[0])
        outcome = await task
        await at_rest(alias)
        return outcome

    with far(entry()), Rival() as rival:
        ada()
        for alias in FAR:
            assert run(lambda alias=alias: steps(alias)) == expected


# For the others' sake


async def again(function, codes):
    """Call a function until it succeeds, and note the errors that make it worth a try."""
    for attempt in range(10):
        try:
            return await function(attempt == 0)
        except OperationalError as exc:
            codes.append(exc.__cause__.sqlstate)
    raise AssertionError(codes)


def test_of_a_deadlock_one_is_told_and_can_try_again(run):
    async def transfer(alias, first, second, barrier, is_first):
        async with async_atomic(alias):
            await accounts(alias).filter(owner=first).aupdate(balance=F("balance") + 1)
            if is_first:
                await barrier.wait()
            await accounts(alias).filter(owner=second).aupdate(balance=F("balance") + 1)

    async def steps(alias):
        codes, barrier = [], asyncio.Barrier(2)
        one, other = f"{alias} one", f"{alias} other"
        await asyncio.gather(
            again(lambda is_first: transfer(alias, one, other, barrier, is_first), codes),
            again(lambda is_first: transfer(alias, other, one, barrier, is_first), codes),
        )
        return codes

    async def both():
        codes = await asyncio.gather(*[asyncio.create_task(steps(alias)) for alias in FAR])
        for alias in FAR:
            await at_rest(alias)
        return codes

    for alias in FAR:
        Account.objects.create(owner=f"{alias} one")
        Account.objects.create(owner=f"{alias} other")
    with far(entry()):
        # The one that is told may lock a row again before the other has got it: they wait for
        # each other once more.
        for codes in run(both):
            assert {*codes} == {errors.DeadlockDetected.sqlstate}
    assert {*Account.objects.values_list("balance", flat=True)} == {2}


@pytest.mark.parametrize("alias", FAR)
def test_a_transaction_that_cannot_be_serialized_can_be_tried_again(alias, run):
    async def add(barrier, is_first):
        async with async_atomic(alias):
            count = await accounts(alias).acount()
            if is_first:
                await barrier.wait()
            await accounts(alias).acreate(owner=f"{count}")

    async def steps():
        codes, barrier = [], asyncio.Barrier(3)
        tasks = [
            asyncio.create_task(again(lambda is_first: add(barrier, is_first), codes))
            for _ in range(3)
        ]
        await asyncio.gather(*tasks)
        await at_rest(alias)
        return codes

    with far(entry(isolation_level=IsolationLevel.SERIALIZABLE)):
        codes = run(steps)
    assert {*codes} <= {errors.SerializationFailure.sqlstate}
    assert len(codes) >= 2
    # Each has counted what was there before.
    assert owners() == ["0", "1", "2"]
