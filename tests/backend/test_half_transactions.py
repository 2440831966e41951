"""What Django would do in a thread, on another connection, while a transaction is open here."""

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, router
from django.db.models.signals import ModelSignal
from django.db.transaction import TransactionManagementError, atomic
from django.dispatch import Signal

from tests.library.models import Account, Player, Skill
from tests.plain.models import Label, Shelf
from tests.support.event_loop import close_connections
from turbo_orm import async_atomic, async_connection, bridge

pytestmark = pytest.mark.usefixtures("scratch")

# Models with a manager of Django's, where PATCH_DJANGO is off, and functions of one's own.
HOPS = {
    "create": lambda: Label.objects.acreate(name="half"),
    "count": lambda: Label.objects.acount(),
    "get": lambda: Label.objects.aget(name="half"),
    "save": lambda: Label(name="half").asave(),
    "delete": lambda: Label(pk=1).adelete(),
    "refresh": lambda: Label(pk=1).arefresh_from_db(),
    "update": lambda: Label.objects.filter(name="half").aupdate(name="whole"),
    "iterate": lambda: anext(aiter(Label.objects.all()), None),
    "a related manager": lambda: Shelf(pk=1).remarks.acreate(text="half"),
    "sync_to_async": lambda: sync_to_async(Label.objects.create)(name="half"),
    "another thread": lambda: asyncio.to_thread(Account.objects.create, owner="half"),
    "atomic": lambda: sync_to_async(in_atomic)(),
    "a cursor": lambda: sync_to_async(connections["default"].cursor)(),
}


@atomic
def in_atomic():
    Label.objects.create(name="half")


def run_with_threads(function):
    """Run a coroutine function, and let it use threads."""

    async def main():
        try:
            return await function()
        finally:
            await sync_to_async(connections.close_all)()
            await close_connections()

    return asyncio.run(main())


@pytest.mark.parametrize("case", HOPS)
def test_a_thread_is_refused_in_a_transaction(case):
    ContentType.objects.get_for_model(Shelf)

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(owner="Ada")
            with pytest.raises((TransactionManagementError, SynchronousOnlyOperation)) as caught:
                await HOPS[case]()
            # The transaction goes on.
            await Account.objects.acreate(owner="Grace")
        return str(caught.value)

    message = run_with_threads(steps)
    if case != "a cursor":
        assert "run_sync" in message
        assert "PATCH_DJANGO" in message
        assert __file__ in message
    assert Account.objects.count() == 2
    assert not Label.objects.filter(name="half").exists()


def test_it_is_refused_in_a_block_with_a_session():
    async def steps():
        async with async_connection():
            with pytest.raises(TransactionManagementError, match=r"async_connection\(\) block"):
                await Label.objects.acount()

    run_with_threads(steps)


def test_an_alias_that_only_the_routers_know_of(monkeypatch):
    """What is read from a replica is written to the database that has the transaction."""

    class Replica:
        def db_for_read(self, model, **hints):
            return "other"

        def db_for_write(self, model, **hints):
            return "default"

    monkeypatch.setitem(router.__dict__, "routers", [Replica()])

    async def steps():
        async with async_atomic():
            for case in ("create", "update", "save"):
                with pytest.raises(TransactionManagementError):
                    await HOPS[case]()

    run_with_threads(steps)


def test_a_thread_that_outlives_the_block_is_not_refused():
    begin = threading.Event()

    def write_later():
        assert begin.wait(30)
        Account.objects.create(owner="later")

    async def steps():
        async with async_atomic():
            writing = asyncio.create_task(sync_to_async(write_later)())
            await asyncio.sleep(0)
        begin.set()
        await writing

    run_with_threads(steps)
    assert Account.objects.get().owner == "later"


def test_another_database_is_none_of_its_business():
    def count():
        try:
            return Label.objects.using("other").count()
        finally:
            connections.close_all()

    async def steps():
        async with async_atomic():
            return await Label.objects.using("other").acount(), await asyncio.to_thread(count)

    assert run_with_threads(steps) == (0, 0)


def test_the_model_of_a_relation_to_many_is_as_its_sides(run):
    """Django makes it, with a manager of Django's."""
    through = Player.skills.through

    @async_atomic
    async def steps():
        player = await Player.objects.acreate(name="Ada")
        skill = await Skill.objects.acreate(name="new")
        link = await through.objects.acreate(player=player, skill=skill)
        await link.arefresh_from_db()
        found = [each.skill_id async for each in through.objects.all()]
        await through.objects.filter(player=player).adelete()
        return found == [skill.pk], await player.skills.acount()

    assert run(steps) == (True, 0)


@pytest.mark.parametrize("kind", [Signal, ModelSignal])
@pytest.mark.parametrize("method", ["asend", "asend_robust"])
def test_receivers_of_a_signal_are_in_the_transaction(run, kind, method):
    """Django awaits async ones in tasks of their own, and calls sync ones in a thread."""
    seen = []

    async def receive_async(sender, **kwargs):
        await Account.objects.acreate(owner="by an async receiver")
        seen.append(await Account.objects.acount())

    async def receive_another(sender, **kwargs):
        seen.append(await Account.objects.acount())

    def receive_sync(sender, **kwargs):
        assert bridge.active()
        Account.objects.create(owner="by a sync receiver")
        seen.append(Account.objects.count())

    signal = kind()
    for receiver in (receive_async, receive_another, receive_sync):
        signal.connect(receiver, sender=Account)

    @async_atomic
    async def steps():
        await Account.objects.acreate(owner="Ada")
        for _, answer in await getattr(signal, method)(sender=Account):
            assert answer is None
        raise LookupError

    with pytest.raises(LookupError):
        run(steps)
    assert sorted(seen) in ([2, 3, 3], [3, 3, 3], [2, 2, 3])
    assert Account.objects.count() == 0


def test_async_receivers_run_side_by_side_where_no_transaction_is_open(run):
    seen = []

    async def receive(sender, **kwargs):
        seen.append(await Account.objects.acount())

    async def receive_too(sender, **kwargs):
        seen.append(await Account.objects.acount())

    signal = Signal()
    signal.connect(receive)
    signal.connect(receive_too)
    run(lambda: signal.asend(sender=None))
    assert seen == [0, 0]
