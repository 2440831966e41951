"""What reads and writes: get or create, update or create, and locks."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import FieldError
from django.db import IntegrityError, OperationalError, connections
from django.db.transaction import TransactionManagementError

from tests.library.models import Account, Diary, Entry
from tests.support.answers import fingerprint
from tests.support.clients import Rival, separate_task, until
from tests.support.givens import accounts, accounts_with_entries
from tests.support.tables import empty
from turbo_orm import AsyncQuerySet, async_atomic

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


class WithAsyncMethods(AsyncQuerySet):
    """Overrides methods that Django's get_or_create() does not call."""

    async def aget(self, *args, **kwargs):
        raise AssertionError("aget() was called")

    async def acreate(self, **kwargs):
        raise AssertionError("acreate() was called")


@pytest.mark.parametrize("method", ["get_or_create", "update_or_create"])
def test_async_methods_of_a_subclass_are_not_called(method, play):
    async def steps(orm):
        accounts = WithAsyncMethods(Account)
        return [await orm.call(accounts, method, owner=name) for name in ("Eve", "Eve", "Ada")]

    play(steps, given=accounts)


@pytest.mark.parametrize("method", ["get_or_create", "update_or_create"])
def test_a_method_of_a_subclass_is_given_everything_by_keyword(method, play):
    def overriding(self, **kwargs):
        return "called", getattr(AsyncQuerySet, method)(self, **kwargs)

    accounts_ = type("WithKeywords", (AsyncQuerySet,), {method: overriding})(Account)

    async def steps(orm):
        return await orm.call(accounts_, method, owner="Eve", defaults={"balance": 3})

    play(steps, given=accounts)


@pytest.mark.parametrize("defaults", [{"text": "new"}, {}])
def test_aupdate_or_create_calls_save_and_not_asave(defaults, play):
    async def steps(orm):
        return await orm.call(Diary.objects, "update_or_create", pk=1, defaults=defaults)

    play(steps, given=lambda: Diary.objects.create(pk=1, text="old"))


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


class Held:
    """Has another client hold rows before a scenario, which has to let go of them at its end."""

    def __init__(self, statement):
        self.statement = statement

    def given(self):
        accounts_with_entries()
        self.rival = Rival(self.statement)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.rival.__exit__(*exc_info)


HOLD_ADA = "SELECT 1 FROM library_account WHERE owner = 'Ada' FOR UPDATE"
# As a foreign key does that refers to the row.
REFER_TO_ADA = "SELECT 1 FROM library_account WHERE owner = 'Ada' FOR KEY SHARE"
HOLD_ADAS_ENTRIES = "SELECT 1 FROM library_entry WHERE account_id = 1 FOR UPDATE"

ACCOUNTS = Account.objects.order_by("pk")
ENTRIES = Entry.objects.select_related("account").filter(amount__lt=3).order_by("pk")

LOCKED = {
    "nowait": (HOLD_ADA, ACCOUNTS, {"nowait": True}, OperationalError),
    "nowait, another row": (HOLD_ADA, ACCOUNTS.filter(pk__gt=1), {"nowait": True}, None),
    "nowait, a key": (REFER_TO_ADA, ACCOUNTS, {"nowait": True}, OperationalError),
    "no key": (REFER_TO_ADA, ACCOUNTS, {"nowait": True, "no_key": True}, None),
    "no key, but held": (HOLD_ADA, ACCOUNTS, {"nowait": True, "no_key": True}, OperationalError),
    "skipped": (HOLD_ADA, ACCOUNTS, {"skip_locked": True}, None),
    "skipped, of both": (HOLD_ADA, ENTRIES, {"skip_locked": True}, None),
    "skipped, of one": (HOLD_ADA, ENTRIES, {"skip_locked": True, "of": ("self",)}, None),
    "of the other": (HOLD_ADAS_ENTRIES, ENTRIES, {"nowait": True, "of": ("account",)}, None),
    "of this one": (
        HOLD_ADAS_ENTRIES,
        ENTRIES,
        {"nowait": True, "of": ("self", "account")},
        OperationalError,
    ),
    "of no such relation": (HOLD_ADA, ENTRIES, {"of": ("nope",)}, FieldError),
    "both": (HOLD_ADA, ACCOUNTS, {"nowait": True, "skip_locked": True}, ValueError),
}


@pytest.mark.parametrize("case", LOCKED)
def test_select_for_update_of_rows_that_another_client_holds(case, play):
    statement, queryset, kwargs, error = LOCKED[case]
    held = Held(statement)

    async def steps(orm):
        with held:
            async with orm.atomic():
                return await orm.list(queryset.select_for_update(**kwargs))

    play(steps, given=held.given, raises=error)


def test_select_for_update_nowait_in_a_savepoint_leaves_the_transaction_usable(play):
    held = Held(HOLD_ADA)

    async def steps(orm):
        with held:
            async with orm.atomic():
                try:
                    async with orm.atomic():
                        await orm.list(ACCOUNTS.select_for_update(nowait=True))
                except OperationalError:
                    free = ACCOUNTS.select_for_update(skip_locked=True)
                    return await orm.call(free.filter(balance__gt=0), "first")

    assert play(steps, given=held.given)["returned"][0] is Account


@pytest.mark.parametrize("kwargs", [{"nowait": True}, {"skip_locked": True}, {"no_key": True}])
def test_select_for_update_with_options_outside_a_transaction(kwargs, play):
    async def steps(orm):
        return await orm.list(ACCOUNTS.select_for_update(**kwargs))

    play(steps, given=accounts, raises=TransactionManagementError)


def test_what_is_locked_can_be_refreshed_and_iterated(play):
    async def steps(orm):
        async with orm.atomic():
            account = await orm.call(Account.objects, "get", owner="Bo")
            locked = Account.objects.select_for_update(no_key=True)
            await orm.call(account, "refresh_from_db", from_queryset=locked)
            return account, await orm.call(locked, "in_bulk", [1, 2])

    statements = play(steps, given=accounts)["statements"]
    assert sum("FOR NO KEY UPDATE" in statement for statement in statements) == 2
