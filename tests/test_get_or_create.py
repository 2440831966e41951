"""What reads and writes: get or create, update or create, and locks."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import FieldError
from django.db import IntegrityError, connections
from django.db.transaction import TransactionManagementError

from tests.answers import fingerprint
from tests.clients import Rival, separate_task, until
from tests.conftest import empty
from tests.givens import accounts
from tests.library.models import Account
from turbo_orm import async_atomic

# aget_or_create() and aupdate_or_create()


def by_call():
    return 42


GET_OR_CREATE = {
    "is there": {"owner": "Ada"},
    "is there, with defaults": {"owner": "Ada", "defaults": {"balance": 5}},
    "is new": {"owner": "Eve"},
    "is new, with defaults": {"owner": "Eve", "defaults": {"balance": 5}},
    "is new, with a callable": {"owner": "Eve", "defaults": {"balance": by_call}},
    "by lookup": {"owner__iexact": "eve", "defaults": {"owner": "Eve"}},
    "by lookup, is there": {"owner__iexact": "ada", "defaults": {"owner": "Eve"}},
    "an exact lookup in the defaults": {"owner": "Eve", "defaults": {"balance__exact": 3}},
}


@pytest.mark.parametrize("case", GET_OR_CREATE)
def test_aget_or_create(case, play):
    async def steps(orm):
        return await orm.call(Account.objects, "get_or_create", **GET_OR_CREATE[case])

    error = FieldError if case == "an exact lookup in the defaults" else None
    play(steps, given=accounts, raises=error)


UPDATE_OR_CREATE = {
    "is there": {"owner": "Ada", "defaults": {"balance": 5}},
    "is there, nothing to update": {"owner": "Ada"},
    "is there, with a callable": {"owner": "Ada", "defaults": {"balance": by_call}},
    "is there, with create_defaults": {
        "owner": "Ada",
        "defaults": {"balance": 5},
        "create_defaults": {"balance": 6},
    },
    "is new": {"owner": "Eve", "defaults": {"balance": 5}},
    "is new, with a callable": {"owner": "Eve", "defaults": {"balance": by_call}},
    "is new, with create_defaults": {
        "owner": "Eve",
        "defaults": {"balance": 5},
        "create_defaults": {"balance": 6},
    },
    "another's name": {"owner": "Ada", "defaults": {"owner": "Bo"}},
}


@pytest.mark.parametrize("case", UPDATE_OR_CREATE)
def test_aupdate_or_create(case, play):
    async def steps(orm):
        return await orm.call(Account.objects, "update_or_create", **UPDATE_OR_CREATE[case])

    play(steps, given=accounts, raises=IntegrityError if case == "another's name" else None)


@pytest.mark.parametrize("method", ["get_or_create", "update_or_create"])
@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"balance__gte": 0}, Account.MultipleObjectsReturned),
        ({"nope": 1}, FieldError),
        ({"owner": "Eve", "defaults": {"nope": 1}}, FieldError),
        ({"owner": "Eve", "balance": 2**31 - 1, "defaults": {"owner": "Ada"}}, IntegrityError),
        ({"owner": "Eve", "defaults": {"balance": None}}, IntegrityError),
    ],
)
def test_get_or_create_errors(method, kwargs, error, play):
    async def steps(orm):
        await orm.call(Account.objects, method, **kwargs)

    play(steps, given=accounts, raises=error)


def test_get_or_create_in_a_transaction_leaves_it_usable(play):
    async def steps(orm):
        async with orm.atomic():
            try:
                await orm.call(Account.objects, "get_or_create", owner="Eve", defaults={"pk": 1})
            except IntegrityError:
                return await orm.call(Account.objects, "count")

    assert play(steps, given=accounts)["returned"] == (int, 4)


@pytest.mark.parametrize("method", ["get_or_create", "update_or_create"])
def test_a_row_that_another_client_inserts_meanwhile_is_found(method, run, tables):
    insert = "INSERT INTO library_account (owner, balance) VALUES ('Eve', 1)"
    question = {"owner": "Eve", "defaults": {"balance": 9}}

    def ask():
        try:
            return fingerprint(getattr(Account.objects, method)(**question))
        finally:
            connections.close_all()

    empty("default")
    with Rival(insert) as rival, ThreadPoolExecutor() as pool:
        asked = pool.submit(ask)
        while not rival.is_waited_for():
            time.sleep(0.01)
        rival.commit()
        expected = asked.result()

    async def race():
        asked = separate_task(getattr(Account.objects, f"a{method}")(**question))
        await until(rival.is_waited_for)
        rival.commit()
        return fingerprint(await asked)

    empty("default")
    with Rival(insert) as rival:
        assert run(race) == expected
    assert Account.objects.count() == 1


# select_for_update()


def test_select_for_update_in_a_transaction(play):
    async def steps(orm):
        async with orm.atomic():
            locked = Account.objects.select_for_update().order_by("pk")
            account = await orm.call(locked, "get", owner="Ada")
            account.balance += 5
            await orm.call(account, "save")
            others = await orm.list(locked.filter(pk__gt=1))
            skipped = await orm.call(
                Account.objects.select_for_update(skip_locked=True, of=("self",)), "count"
            )
        return account, others, skipped

    answer = play(steps, given=accounts)
    assert any("FOR UPDATE" in statement for statement in answer["statements"])


@pytest.mark.parametrize("method", ["get", "first"])
def test_select_for_update_outside_a_transaction(method, play):
    async def steps(orm):
        await orm.call(Account.objects.filter(pk=1).select_for_update(), method)

    play(steps, given=accounts, raises=TransactionManagementError)


def test_select_for_update_locks(scratch, run):
    accounts()

    async def second(locked, order):
        async with async_atomic():
            await locked.wait()
            account = await Account.objects.select_for_update().aget(owner="Ada")
            order.append(("second", account.balance))

    async def race():
        locked, order = asyncio.Event(), []
        waiting = separate_task(second(locked, order))
        async with async_atomic():
            account = await Account.objects.select_for_update().aget(owner="Ada")
            locked.set()
            account.balance = 500
            await asyncio.sleep(0.05)
            await account.asave()
            order.append(("first", 500))
        await waiting
        return order

    assert run(race) == [("first", 500), ("second", 500)]
