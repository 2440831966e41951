"""Async code that sync code calls by async_to_sync(), inside a transaction and outside of one."""

import asyncio
import contextlib
import itertools
import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import IntegrityError, connection, connections, transaction
from django.db.models.signals import post_save
from django.db.transaction import TransactionManagementError, atomic
from django.dispatch import Signal
from django_async_backend.db import async_connections

from tests.library.models import Account, Player, Skill, Team
from tests.plain.models import Label
from tests.support.event_loop import close_connections
from turbo_orm import (
    async_atomic,
    async_connection,
    bridge,
    patch_django,
    run_sync,
    unpatch_django,
)

pytestmark = pytest.mark.usefixtures("scratch")


@pytest.fixture(params=["AsyncManager", "patched"])
def plain(request):
    """Have models with a manager of Django's as they are, and patched."""
    if request.param == "patched":
        patch_django()
    yield
    unpatch_django()


def in_a_loop_of_its_own(view):
    """Call a sync function as a sync server does."""
    return view()


def in_a_thread_of_a_loop(view):
    """Call a sync function as Django's ASGI handler calls a sync view."""

    async def main():
        try:
            return await sync_to_async(called)()
        finally:
            await close_connections()

    def called():
        try:
            return view()
        finally:
            connections.close_all()

    return asyncio.run(main())


CALLERS = [in_a_loop_of_its_own, in_a_thread_of_a_loop]


def pid():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


async def ask_everything():
    """Use what there is, and return how much of it was right."""
    team = await Team.objects.aget(name="Ada")
    player = await Player.objects.acreate(team=team, name="Notes", rank=3)
    player.rank = 4
    await player.asave()
    await player.asave(update_fields=["rank"])
    await Player.objects.abulk_create([Player(team=team, name=f"{i}") for i in range(3)])
    await player.skills.aadd(await Skill.objects.acreate(name="new"))
    label = Label(name="plain")
    await label.asave()
    await Team.objects.filter(name="Ada").aupdate(name="Countess")
    await team.arefresh_from_db()
    spare = await Team.objects.acreate(name="spare")
    await spare.adelete()
    right = [
        team.name == "Countess",
        await Player.objects.acount() == 4,
        await Player.objects.filter(rank=4).aexists(),
        (await Player.objects.order_by("pk").alist())[0].name == "Notes",
        [each.name async for each in Player.objects.order_by("-pk")][-1] == "Notes",
        [each async for each in Player.objects.values_list("rank", flat=True)].count(4) == 1,
        len([each async for each in Player.objects.aiterator(chunk_size=2)]) == 4,
        [each.name async for each in player.skills.all()] == ["new"],
        [each.name async for each in Label.objects.filter(name="plain")] == ["plain"],
        len([each async for each in Player.objects.raw("SELECT * FROM library_player")]) == 4,
        len((await Team.objects.prefetch_related("players").aget()).players.all()) == 4,
        await asyncio.gather(Player.objects.acount(), Team.objects.acount()) == [4, 1],
        await run_sync(pid) == await sync_to_async(pid)(),
        await sync_to_async(Player.objects.count)() == 4,
    ]
    # Statements that are cached by now.
    right += [
        await Player.objects.acount() == 4,
        await Team.objects.aget(name="Countess") == team,
    ]
    async with asyncio.timeout(5):
        right.append(await Team.objects.select_for_update().aget() == team)
    return right


@pytest.mark.parametrize("called", CALLERS)
def test_it_is_in_the_transaction(called, plain):
    def view():
        with atomic():
            Team.objects.create(name="Ada")
            with connection.execute_wrapper(count):
                here = pid()
                right = async_to_sync(ask_everything)()
            assert Label.objects.filter(name="plain").exists()
            assert here == pid()
            transaction.set_rollback(True)
        return right

    def count(execute, *args):
        seen.append(args[0])
        return execute(*args)

    seen = []
    right = called(view)
    assert right == [True] * len(right)
    assert len(seen) > 30
    for model in (Team, Player, Skill):
        assert model.objects.count() == 0
    assert not Label.objects.filter(name="plain").exists()


@pytest.mark.parametrize("called", CALLERS)
def test_savepoints_and_hooks(called, plain):
    async def change():
        await Account.objects.acreate(owner="Ada")
        async with async_atomic():
            await Account.objects.acreate(owner="nobody")
            transaction.set_rollback(True)
        transaction.on_commit(lambda: hooks.append(Account.objects.count()))
        assert connection.in_atomic_block
        assert not hooks

    def view():
        with atomic():
            async_to_sync(change)()
        return [each.owner for each in Account.objects.all()]

    hooks = []
    assert called(view) == ["Ada"]
    assert hooks == [1]


@pytest.mark.parametrize("called", CALLERS)
def test_errors_are_those_of_the_transaction(called, plain):
    async def fail():
        with pytest.raises(Team.DoesNotExist):
            await Team.objects.aget(name="nobody")
        with pytest.raises(IntegrityError):
            async with async_atomic():
                await Skill.objects.acreate(name="twice")
        with pytest.raises(IntegrityError):
            await Skill.objects.acreate(name="twice")
        with pytest.raises(
            TransactionManagementError, match="until the end of the 'atomic' block"
        ):
            await Skill.objects.acount()

    def view():
        with atomic():
            Skill.objects.create(name="twice")
            async_to_sync(fail)()
            with pytest.raises(TransactionManagementError):
                Skill.objects.count()
            transaction.set_rollback(True)

    called(view)
    assert Skill.objects.count() == 0


@pytest.mark.parametrize("called", CALLERS)
def test_a_transaction_without_atomic(called):
    def view():
        transaction.set_autocommit(False)
        try:
            Account.objects.create(owner="Ada")
            return async_to_sync(Account.objects.all().acount)()
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)

    assert called(view) == 1


@pytest.mark.parametrize("called", CALLERS)
def test_outside_of_one_it_has_an_async_connection(called):
    async def ask():
        found = await run_sync(pid), await run_sync(bridge.active)
        await close_connections()
        return found

    def view():
        here = pid()
        with atomic():
            assert async_to_sync(run_sync)(pid) == here
            inside = async_to_sync(run_sync)(bridge.active)
        there, outside = async_to_sync(ask)()
        return there != here, inside, outside

    assert called(view) == (True, False, True)


def test_one_that_is_called_in_it_and_calls_again():
    def inner():
        assert not bridge.active()
        return async_to_sync(Account.objects.all().acount)()

    async def outer():
        await Account.objects.acreate(owner="Ada")
        return await sync_to_async(inner)()

    with atomic():
        assert async_to_sync(outer)() == 1
        transaction.set_rollback(True)
    assert Account.objects.count() == 0


@pytest.mark.parametrize("called", CALLERS)
def test_an_async_connection_is_refused_in_it(called):
    async def ask():
        with pytest.raises(TransactionManagementError, match="thread that waits"):
            async with async_connection():
                pass
        with pytest.raises(TransactionManagementError, match="thread that waits"):
            async_connections["default"].cursor()
        return await Account.objects.acount()

    def view():
        with atomic():
            return async_to_sync(ask)()

    assert called(view) == 0


def test_on_the_bridge_it_is_awaited(run):
    """By a receiver, and by any sync code that async code calls."""

    async def notify(name):
        assert asyncio.current_task() is task
        await asyncio.sleep(0)
        await Skill.objects.acreate(name=name)
        return await Account.objects.acount()

    def receive(instance, **kwargs):
        answers.append(async_to_sync(notify)(instance.owner))

    async def steps():
        nonlocal task
        task = asyncio.current_task()
        async with async_atomic():
            await Account.objects.acreate(owner="Ada")
            answers.append(await run_sync(async_to_sync(notify), "Grace"))
            await run_sync(transaction.set_rollback, True)
        return await Skill.objects.acount()

    task, answers = None, []
    post_save.connect(receive, sender=Account)
    try:
        assert run(steps) == 0
    finally:
        post_save.disconnect(receive, sender=Account)
    assert answers == [1, 1]


def test_errors_of_what_is_awaited_are_raised_there(run):
    async def fail():
        await asyncio.sleep(0)
        raise LookupError

    def called():
        with pytest.raises(LookupError):
            async_to_sync(fail)()
        return "went on"

    assert run(lambda: run_sync(called)) == "went on"


def test_in_plain_code_of_an_event_loop_it_is_refused(run):
    async def steps():
        with pytest.raises(RuntimeError, match="just await"):
            async_to_sync(Account.objects.all().acount)()

    run(steps)


def test_threads_do_not_take_part_in_each_others(plain):
    """Two threads at once, each in a transaction of its own."""
    barrier = threading.Barrier(2, timeout=30)

    async def write(name):
        await Account.objects.acreate(owner=name)
        await asyncio.to_thread(barrier.wait)
        owners = [each.owner async for each in Account.objects.all()]
        # Neither is committed before both have read.
        await asyncio.to_thread(barrier.wait)
        return owners

    def work(name):
        try:
            with atomic():
                found[name] = async_to_sync(write)(name)
        finally:
            connections.close_all()

    found = {}
    threads = [threading.Thread(target=work, args=[name]) for name in ("Ada", "Grace")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == {"Ada": ["Ada"], "Grace": ["Grace"]}
    assert Account.objects.count() == 2


@pytest.mark.parametrize("called", CALLERS)
def test_a_timeout_leaves_nothing_half_begun(called):
    """The thread cannot be stopped: what it has begun is ended, and the next one is committed."""

    async def block():
        async with async_atomic():
            await Account.objects.acreate(owner=f"{next(numbers)}")

    async def hurry(seconds):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for _ in range(50):
                    await block()

    def view():
        for number in range(20):
            with atomic():
                Team.objects.create(name=f"outer {number}")
                async_to_sync(hurry)(0.001 * number)
            assert not connection.in_atomic_block
            assert connection.savepoint_ids == connection.atomic_blocks == []

    numbers = itertools.count()
    called(view)
    assert Team.objects.count() == 20


def test_one_task_at_a_time_may_be_in_a_block():
    async def first():
        async with async_atomic():
            await asyncio.sleep(0.02)
            await Account.objects.acreate(owner="first")
            await asyncio.sleep(0.05)

    async def second():
        await asyncio.sleep(0.01)
        for call in (second_block, Account.objects.acount):
            with pytest.raises(TransactionManagementError, match=r"await one after the other"):
                await call()

    async def second_block():
        async with async_atomic():
            pass

    async def both():
        await asyncio.gather(first(), second())
        await second_block()

    with atomic():
        async_to_sync(both)()
    assert Account.objects.get().owner == "first"


@pytest.mark.parametrize("method", ["asend", "asend_robust"])
def test_receivers_of_a_signal_are_awaited_in_order(method):
    async def receive(sender, **kwargs):
        async with async_atomic():
            await asyncio.sleep(0.01)
            await Account.objects.acreate(owner=f"{next(numbers)}")
            await asyncio.sleep(0.01)

    async def receive_too(sender, **kwargs):
        await receive(sender)

    numbers = itertools.count()
    signal = Signal()
    signal.connect(receive)
    signal.connect(receive_too)
    with atomic():
        answers = async_to_sync(getattr(signal, method))(None)
    assert [answer for _, answer in answers] == [None, None]
    assert Account.objects.count() == 2


def test_what_was_called_leaves_its_caller_its_connection():
    """asgiref copies the context of what was called back to the task that waits for the thread."""

    async def log():
        async with async_connection():
            await Account.objects.acreate(owner=f"log {next(numbers)}")

    @async_atomic
    async def block():
        await Account.objects.acreate(owner="before")
        await sync_to_async(lambda: async_to_sync(log)())()
        await Account.objects.acreate(owner="after")
        raise LookupError

    async def session():
        async with async_connection():
            before = await run_sync(pid)
            with connection.execute_wrapper(
                lambda execute, *args: seen.append(1) or execute(*args)
            ):
                await sync_to_async(lambda: async_to_sync(log)())()
                assert await run_sync(pid) == before
        return len(seen)

    async def main():
        try:
            with pytest.raises(LookupError):
                await block()
            return await session()
        finally:
            await close_connections()

    seen, numbers = [], itertools.count()
    # The connection of log() has inherited the wrapper.
    assert asyncio.run(main()) == 2
    assert [each.owner for each in Account.objects.order_by("pk")] == ["log 0", "log 1"]


def test_coroutine_functions_are_called_after_the_commit():
    async def tell():
        await Account.objects.acreate(owner="told")

    async def register():
        async with async_atomic():
            transaction.on_commit(tell)

    with atomic():
        async_to_sync(register)()
        assert not Account.objects.exists()
    assert Account.objects.get().owner == "told"
