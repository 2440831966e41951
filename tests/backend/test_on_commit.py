"""What runs after a commit: ``transaction.on_commit()`` on the bridge and in coroutines."""

import logging
from contextlib import suppress
from functools import partial

import django
import pytest
from django.db import transaction
from django.db.models.signals import post_save

from tests.library.models import Account
from turbo_orm import async_atomic, bridge

ADA = {"owner": "Ada", "balance": 1}
BO = {"owner": "Bo", "balance": 2}
CY = {"owner": "Cy", "balance": 3}


class OfNoAccount(Exception):
    """Raised by the tests alone."""


def owners(alias="default"):
    return list(Account.objects.using(alias).order_by("pk").values_list("owner", flat=True))


class Hooks:
    """Receivers of post_save that register what is to run after the commit."""

    def __init__(self, told, **options):
        self.told = told
        self.options = options

    def __enter__(self):
        post_save.connect(self.register, sender=Account)

    def __exit__(self, *exc_info):
        post_save.disconnect(self.register, sender=Account)

    def register(self, instance, **kwargs):
        def hook():
            self.told.append((instance.owner, Account.objects.count()))

        transaction.on_commit(hook, **self.options)


def test_a_hook_runs_after_the_outermost_commit(play):
    async def steps(orm):
        told = []
        with Hooks(told):
            async with orm.atomic():
                async with orm.atomic():
                    await orm.call(Account.objects, "create", **ADA)
                await orm.call(Account.objects, "create", **BO)
                before = list(told)
        return before, told

    answer = play(steps)
    commit = answer["statements"].index("COMMIT")
    assert sum("COUNT" in statement for statement in answer["statements"][commit:]) == 2
    assert sum("COUNT" in statement for statement in answer["statements"][:commit]) == 0


def test_a_hook_does_not_run_after_a_rollback(play):
    async def steps(orm):
        told = []
        with Hooks(told):
            with suppress(OfNoAccount):
                async with orm.atomic():
                    await orm.call(Account.objects, "create", **ADA)
                    raise OfNoAccount
            await orm.call(Account.objects, "create", **BO)
        return told

    assert len(play(steps)["returned"][2]) == 1


def test_the_hooks_of_a_rolled_back_savepoint_do_not_run(play):
    async def steps(orm):
        told = []
        with Hooks(told):
            async with orm.atomic():
                await orm.call(Account.objects, "create", **ADA)
                with suppress(OfNoAccount):
                    async with orm.atomic():
                        await orm.call(Account.objects, "create", **BO)
                        raise OfNoAccount
                await orm.call(Account.objects, "create", **CY)
        return told

    assert len(play(steps)["returned"][2]) == 2


def test_outside_of_a_transaction_a_hook_runs_at_once(play):
    async def steps(orm):
        told = []
        with Hooks(told):
            await orm.call(Account.objects, "create", **ADA)
            return list(told)

    assert len(play(steps)["returned"][2]) == 1


def test_a_hook_in_a_transaction_of_sync_code(play):
    def write():
        with transaction.atomic():
            Account.objects.create(**ADA)

    async def steps(orm):
        told = []
        with Hooks(told):
            await orm.run(write)
        return told

    assert len(play(steps)["returned"][2]) == 1


def test_a_hook_may_write_and_register_another(play):
    told = []

    def second():
        told.append(Account.objects.count())

    def first():
        with transaction.atomic():
            Account.objects.create(**BO)
            transaction.on_commit(second)
            told.append("not yet")

    async def steps(orm):
        told.clear()
        async with orm.atomic():
            await orm.run(lambda: transaction.on_commit(first))
        return list(told)

    play(steps)
    assert told == ["not yet", 1]


def test_a_hook_that_raises_does_so_after_the_commit(play):
    def fail():
        raise OfNoAccount("too late")

    async def steps(orm):
        async with orm.atomic():
            await orm.call(Account.objects, "create", **ADA)
            await orm.run(lambda: transaction.on_commit(fail))
            await orm.run(lambda: transaction.on_commit(lambda: pytest.fail("not reached")))

    play(steps, raises=OfNoAccount)
    assert owners() == ["Ada"]


def fail():
    raise OfNoAccount("too late")


# Django 5.2 knows no name for what has none.
@pytest.mark.parametrize("hook", [fail, partial(fail)] if django.VERSION >= (6,) else [fail])
def test_a_robust_hook_that_raises_is_logged_and_the_next_runs(hook, play, caplog):
    async def steps(orm):
        told = []
        with Hooks(told, robust=True):
            async with orm.atomic():
                await orm.run(lambda: transaction.on_commit(hook, robust=True))
                await orm.call(Account.objects, "create", **ADA)
        return told

    with caplog.at_level(logging.ERROR):
        assert len(play(steps)["returned"][2]) == 1
    of_django, ours = caplog.records
    assert ours.getMessage() == of_django.getMessage()
    assert ours.exc_info[0] is OfNoAccount


def test_a_hook_has_to_be_callable(play):
    async def steps(orm):
        await orm.run(lambda: transaction.on_commit("not callable"))

    play(steps, raises=TypeError)


def test_an_async_hook_is_awaited(scratch, run):
    told = []

    async def hook():
        told.append(await Account.objects.acount())

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(**ADA)
            await bridge.run(lambda: transaction.on_commit(hook))
            assert told == []

    run(steps)
    assert told == [1]


# on_commit() in a coroutine


def test_a_coroutine_registers_what_is_to_run_after_the_commit(scratch, run):
    told = []

    async def hook():
        told.append(await Account.objects.acount())

    def sync_hook():
        told.append(Account.objects.count())

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(**ADA)
            transaction.on_commit(hook)
            transaction.on_commit(sync_hook)
            with suppress(OfNoAccount):
                async with async_atomic():
                    transaction.on_commit(lambda: told.append("rolled back"))
                    raise OfNoAccount
            assert told == []
        assert told == [1, 1]
        with suppress(OfNoAccount):
            async with async_atomic():
                transaction.on_commit(hook)
                raise OfNoAccount

    run(steps)
    assert told == [1, 1]


def test_of_several_databases_each_has_its_hooks(scratch, run):
    told = []

    async def steps():
        async with async_atomic():
            async with async_atomic("other"):
                transaction.on_commit(lambda: told.append("default"))
                transaction.on_commit(lambda: told.append("other"), using="other")
            assert told == ["other"]

    run(steps)
    assert told == ["other", "default"]


def test_a_robust_hook_of_a_coroutine(scratch, run, caplog):
    told = []

    async def fail():
        raise OfNoAccount

    async def steps():
        async with async_atomic():
            transaction.on_commit(fail, robust=True)
            transaction.on_commit(lambda: told.append(1))

    run(steps)
    assert told == [1]
    assert "OfNoAccount" in caplog.text


def test_outside_of_a_transaction_a_coroutine_has_it_called_at_once(scratch, run):
    told = []

    async def hook():
        """Never awaited."""

    async def steps():
        transaction.on_commit(lambda: told.append(1))
        assert told == [1]
        with pytest.raises(RuntimeError, match=r"await it.*async_atomic\('default'\)"):
            transaction.on_commit(hook)
        with pytest.raises(OfNoAccount):
            transaction.on_commit(raise_of_no_account)
        transaction.on_commit(raise_of_no_account, robust=True)
        with pytest.raises(TypeError, match="callable"):
            transaction.on_commit("not callable")

    run(steps)


def raise_of_no_account():
    raise OfNoAccount
