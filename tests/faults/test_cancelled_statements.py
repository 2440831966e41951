"""A statement that is executed directly, cancelled at each of its switches to the event loop."""

import asyncio

import pytest
from django.contrib.postgres.signals import register_type_handlers
from django.db.backends.signals import connection_created

from tests.faults.trial import Trial
from tests.library.models import Account
from tests.support.cancellation import at_once, too_late
from tests.support.statements import ask
from turbo_orm import async_atomic
from turbo_orm.driver import prepared

ALIASES = ["default", "pooled"]

INSERT = "INSERT INTO library_account (owner, balance) VALUES (%s, %s) RETURNING id"
STATEMENTS = {
    "one that writes": (INSERT, "never", 1),
    "one that takes its time": ("SELECT pg_sleep(0.01)",),
    "one with a large result": ("SELECT repeat('x', 1000000) FROM generate_series(1, 5)",),
    "one that fails": ("SELECT nothing",),
}


@pytest.fixture(autouse=True)
def without_receivers():
    """Have statements borrow connections for themselves, whom nobody has to be told of."""
    connection_created.disconnect(register_type_handlers)
    yield
    connection_created.connect(register_type_handlers)


async def quietly(name, alias):
    try:
        await ask(*STATEMENTS[name], using=alias)
    except Exception:
        assert name == "one that fails"


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_cancelled_at_any_place(name, alias, snapshot, run):
    def play():
        return quietly(name, alias)

    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(play)
        assert (done != snapshot.kept) is (name == "one that writes")
        await play()
        snapshot.put_back()
        for way in (at_once, too_late):
            found = await trial.cancel_everywhere(play, way=way)
            assert found[-1] == done
            assert [left for left in found if left not in (snapshot.kept, done)] == []
        return trial.cancellations

    assert run(steps) >= 2


@pytest.mark.parametrize("alias", ALIASES)
def test_statements_in_a_transaction_cancelled_at_any_place(alias, snapshot, run):
    async def play():
        async with async_atomic(alias):
            for owner in ("never", "ever"):
                await ask(INSERT, owner, 1, using=alias)
            async with async_atomic(alias):
                await ask(INSERT, "more", 1, using=alias)

    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(play)
        for way in (at_once, too_late):
            found = await trial.cancel_everywhere(play, way=way)
            assert found[-1] == done != snapshot.kept
            assert [left for left in found if left not in (snapshot.kept, done)] == []
            for again in [(1,), (2,), (1, 2, 3)]:
                found = await trial.cancel_everywhere(play, way=way, again=again)
                assert [left for left in found if left not in (snapshot.kept, done)] == []
        return trial.cancellations

    assert run(steps) >= 10


def test_those_who_wait_for_a_connection_cancelled_at_any_place(snapshot, run):
    """Others have all connections, and give them back one after the other."""

    async def play():
        others = [
            asyncio.create_task(quietly("one that takes its time", "pooled")) for _ in "4444"
        ]
        await asyncio.sleep(0)
        try:
            await ask(INSERT, "never", 1, using="pooled")
        finally:
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def steps():
        trial = Trial("pooled", snapshot)
        done = await trial.result(play)
        for way in (at_once, too_late):
            found = await trial.cancel_everywhere(play, way=way)
            assert found[-1] == done
            assert [left for left in found if left not in (snapshot.kept, done)] == []
        return trial.cancellations

    assert run(steps) >= 4


@pytest.mark.parametrize("is_reset", [False, True], ids=["kept", "reset"])
@pytest.mark.parametrize("alias", ALIASES)
def test_statements_that_are_prepared_cancelled_at_any_place(
    alias, is_reset, snapshot, run, monkeypatch
):
    """While they are prepared, too, and where the session has forgotten them."""
    monkeypatch.setattr(prepared, "THRESHOLD", 1)

    async def play():
        accounts = Account.objects.using(alias)
        for number in range(3):
            await accounts.filter(balance__gte=number).acount()
        if is_reset:
            await ask("DEALLOCATE ALL", using=alias)
        await accounts.filter(balance__gte=3).acount()
        async with async_atomic(alias):
            await accounts.filter(balance__gte=4).acount()
            await accounts.acreate(owner="never", balance=1)
            await accounts.filter(balance__gte=5).acount()

    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(play)
        for way in (at_once, too_late):
            for again in [(), (1,)]:
                found = await trial.cancel_everywhere(play, way=way, again=again, anew=True)
                assert [left for left in found if left not in (snapshot.kept, done)] == []
        return trial.cancellations

    assert run(steps) >= 12
