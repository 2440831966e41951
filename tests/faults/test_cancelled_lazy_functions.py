"""``lazy_loading`` functions, cancelled at each of their switches to the event loop."""

import asyncio
from contextlib import aclosing

import pytest
from django.conf import settings
from django.db import transaction
from django.test.utils import override_settings

from tests.faults.trial import Trial
from tests.library.models import Account, Player, Team
from tests.support.cancellation import at_once, too_late
from turbo_orm import async_atomic, lazy_loading, run_sync

ALIASES = ["default", "pooled"]
WAYS = [at_once, too_late]

begun, ended = [], []


def accounts(alias):
    return Account.objects.using(alias)


def note(alias):
    ended.append(len(accounts(alias).all()))


@lazy_loading
async def attributes(alias):
    """Ask for what is not loaded, wait, and write once."""
    begun.append(alias)
    try:
        player = Player.objects.using(alias).order_by("pk")[0]
        await asyncio.sleep(0)
        number = len(player.team.players.all())
        await Account.objects.using(alias).acount()
        await run_sync(lambda: list(player.skills.all()))
        accounts(alias).create(owner="written", balance=number)
    finally:
        await asyncio.sleep(0)
        note(alias)


@lazy_loading
async def in_transactions(alias):
    begun.append(alias)
    try:
        async with async_atomic(alias):
            accounts(alias).create(owner="first")
            await asyncio.sleep(0)
            with transaction.atomic(alias):
                await accounts(alias).acreate(owner="second")
                async with async_atomic(alias):
                    Team.objects.using(alias).create(name="third").players.all().update(rank=1)
                await asyncio.sleep(0)
            accounts(alias).create(owner="fourth")
    finally:
        note(alias)


@lazy_loading
async def in_sync_transactions(alias):
    begun.append(alias)
    try:
        with transaction.atomic(alias):
            accounts(alias).create(owner="first")
            await asyncio.sleep(0)
            try:
                with transaction.atomic(alias):
                    accounts(alias).create(owner="rolled back")
                    await asyncio.sleep(0)
                    raise LookupError
            except LookupError:
                await accounts(alias).acreate(owner="second")
    finally:
        note(alias)


@lazy_loading
async def iterators(alias):
    begun.append(alias)
    try:
        for player in Player.objects.using(alias).iterator(chunk_size=2):
            await asyncio.sleep(0)
            _ = player.team
        accounts(alias).create(owner="iterated")
    finally:
        note(alias)


@lazy_loading
async def generating(alias):
    for player in Player.objects.using(alias).all():
        await asyncio.sleep(0)
        yield player.team


@lazy_loading
async def generators(alias):
    begun.append(alias)
    try:
        async with aclosing(generating(alias)) as teams:
            async for _ in teams:
                pass
        accounts(alias).create(owner="generated")
    finally:
        note(alias)


@pytest.fixture
def without_preparing():
    """Have as many switches to the event loop each time."""
    with override_settings(TURBO_ORM={**settings.TURBO_ORM, "PREPARE": False}):
        yield


PLAYED = [attributes, in_transactions, in_sync_transactions, iterators, generators]


@pytest.mark.usefixtures("without_preparing")
@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("played", PLAYED, ids=lambda played: played.__name__)
def test_all_or_nothing_is_written_and_what_cleans_up_queries(played, alias, snapshot, run):
    async def steps():
        trial = Trial(alias, snapshot)
        done = await trial.result(lambda: played(alias))
        assert done != snapshot.kept
        for way in WAYS:
            begun.clear()
            ended.clear()
            found = await trial.cancel_everywhere(lambda: played(alias), way=way, anew=True)
            assert found[-1] == done
            assert [left for left in found if left not in (snapshot.kept, done)] == []
            # What cleans up is cancelled itself, where it waits.
            assert len(ended) < len(begun) == len(found)
            assert len(ended) > len(begun) / 3
        return trial.cancellations

    assert run(steps) >= 8
