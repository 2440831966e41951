"""Each terminal, cancelled at each of its switches to the event loop, writes all or nothing."""

import asyncio

import pytest

from tests.faults.terminals import STEPWISE, TERMINALS, WRITING
from tests.faults.trial import Trial
from tests.library.models import Account
from tests.support.cancellation import at_once, too_late
from turbo_orm import async_atomic

ALIASES = ["default", "pooled"]

# Where what they do differs: a stream, a cursor on the server, transactions, several statements.
DIFFERENT = [
    "abulk_create in batches",
    "adelete with cascades",
    "aget_or_create",
    "aiterator with a prefetch",
    "alist with a prefetch",
    "many rows",
]


async def in_transactions(alias, terminal):
    """Play a terminal in a savepoint, after something else."""
    async with async_atomic(alias):
        await Account.objects.using(alias).acreate(owner="outside")
        async with async_atomic(alias):
            await terminal(alias)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("name", TERMINALS)
def test_a_terminal_cancelled_at_any_place(name, alias, snapshot, run):
    def play():
        return TERMINALS[name](alias)

    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(play)
        assert (done != snapshot.kept) is (name in WRITING or name in STEPWISE)
        for way in (at_once, too_late):
            found = await trial.cancel_everywhere(play, way=way)
            assert found[-1] == done
            if name not in STEPWISE:
                assert [left for left in found if left not in (snapshot.kept, done)] == []
        return trial.cancellations

    assert run(steps) >= 2


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("name", TERMINALS)
def test_a_terminal_in_a_transaction_that_times_out_at_any_place(name, alias, snapshot, run):
    async def play():
        async with asyncio.timeout(None) as timeout:
            due.append(timeout)
            await in_transactions(alias, TERMINALS[name])

    def time_out(task, awaited):
        due[-1].reschedule(0)

    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(play)
        found = await trial.cancel_everywhere(play, way=time_out, raises=TimeoutError)
        assert found[-1] == done != snapshot.kept
        assert [left for left in found if left not in (snapshot.kept, done)] == []
        return trial.cancellations

    due = []
    # Two inserts or more, and the statements that begin and end a savepoint and a transaction.
    assert run(steps) >= 5


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_cancelled_while_it_cleans_up(name, alias, snapshot, run):
    def play():
        return in_transactions(alias, TERMINALS[name])

    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(play)
        for way in (at_once, too_late):
            for again in [(1,), (2,), (1, 2, 3)]:
                found = await trial.cancel_everywhere(play, way=way, again=again)
                assert [left for left in found if left not in (snapshot.kept, done)] == []
        return trial.cancellations

    assert run(steps) >= 30
