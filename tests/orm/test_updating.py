"""Every way of updating, against Django's: answers, statements, and the tables after."""

import django
import pytest
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import DataError, IntegrityError, NotSupportedError
from django.db.models import Case, Count, F, Value, When
from django.db.models.functions import Lower, Upper

from tests.library.models import Account, Captain, Entry
from tests.support.givens import accounts, accounts_with_entries, new_accounts, teams


def test_abulk_update_with_expressions(play):
    async def steps(orm):
        found = await orm.list(Account.objects.order_by("pk"))
        for account in found:
            account.balance = F("balance") * 2
            account.owner = Lower("owner")
        return await orm.call(Account.objects, "bulk_update", found, ["balance", "owner"])

    play(steps, given=accounts)


def test_abulk_update_of_some_of_a_queryset(play):
    async def steps(orm):
        found = await orm.list(Account.objects.order_by("pk"))
        for account in found:
            account.balance = -1
        return await orm.call(
            Account.objects.filter(balance__gte=20), "bulk_update", found, ["balance"]
        )

    play(steps, given=accounts)


WRONG_BULK_UPDATES = {
    "no fields": lambda: (new_accounts("x"), [], {}, ValueError),
    "no key": lambda: (new_accounts("x"), ["balance"], {}, ValueError),
    "the key itself": lambda: ([Account(pk=1)], ["id"], {}, ValueError),
    "no such field": lambda: ([Account(pk=1)], ["nope"], {}, FieldDoesNotExist),
    "batch size": lambda: ([Account(pk=1)], ["balance"], {"batch_size": -1}, ValueError),
    "nothing": lambda: ([], ["balance"], {}, None),
}


@pytest.mark.parametrize("case", WRONG_BULK_UPDATES)
def test_abulk_update_at_the_edge(case, play):
    *_, error = WRONG_BULK_UPDATES[case]()

    async def steps(orm):
        objs, fields, kwargs, _ = WRONG_BULK_UPDATES[case]()
        return await orm.call(Account.objects, "bulk_update", objs, fields, **kwargs)

    play(steps, given=accounts, raises=error)


# aupdate()

UPDATES = {
    "a value": lambda: (Account.objects.all(), {"balance": 1}),
    "nobody": lambda: (Account.objects.filter(owner="x"), {"balance": 1}),
    "none()": lambda: (Account.objects.none(), {"balance": 1}),
    "empty in": lambda: (Account.objects.filter(pk__in=[]), {"balance": 1}),
    "an F expression": lambda: (Account.objects.all(), {"balance": F("balance") + 5}),
    "a function": lambda: (Account.objects.all(), {"owner": Upper("owner")}),
    "a case": lambda: (
        Account.objects.all(),
        {"balance": Case(When(owner="Ada", then=Value(1)), default=F("balance"))},
    ),
    "in order": lambda: (Account.objects.order_by("-balance"), {"balance": F("balance") + 1}),
    "in order of an annotation": lambda: (
        Account.objects.annotate(low=Lower("owner")).order_by("low"),
        {"balance": F("balance") + 1},
    ),
    "an annotation": lambda: (
        Account.objects.annotate(twice=F("balance") * 2),
        {"balance": F("twice")},
    ),
    "an aggregate": lambda: (
        Account.objects.annotate(n=Count("entries")).filter(n__gt=2),
        {"balance": 0},
    ),
    "through a join": lambda: (Entry.objects.filter(account__owner="Ada"), {"amount": 7}),
    "a foreign key by instance": lambda: (
        Entry.objects.filter(account=1),
        {"account": Account(pk=2)},
    ),
    "no fields": lambda: (Account.objects.all(), {}),
    "a slice": lambda: (Account.objects.order_by("pk")[:2], {"balance": 1}),
    "distinct": lambda: (Account.objects.distinct("owner"), {"balance": 1}),
    "no such field": lambda: (Account.objects.all(), {"nope": 1}),
    "a joined F expression": lambda: (Entry.objects.all(), {"amount": F("account__balance")}),
    "a union": lambda: (Account.objects.union(Account.objects.all()), {"balance": 1}),
    "twice the same": lambda: (Account.objects.all(), {"owner": "same"}),
    "out of range": lambda: (Account.objects.all(), {"balance": 2**31}),
}


UPDATE_ERRORS = {
    "a joined F expression": FieldError,
    "a slice": TypeError,
    "a union": NotSupportedError,
    "distinct": TypeError if django.VERSION >= (6, 1) else None,
    "no such field": FieldDoesNotExist,
    "out of range": DataError,
    "twice the same": IntegrityError,
}


@pytest.mark.parametrize("case", UPDATES)
def test_aupdate(case, play):
    async def steps(orm):
        queryset, kwargs = UPDATES[case]()
        return await orm.call(queryset, "update", **kwargs)

    play(steps, given=accounts_with_entries, raises=UPDATE_ERRORS.get(case))


UPDATES_OF_A_CHILD = {
    "own field": {"armband": "right"},
    "parent's field": {"rank": F("rank") + 1},
    "both": {"armband": "right", "name": "the captain", "team": None},
}


@pytest.mark.parametrize("case", UPDATES_OF_A_CHILD)
def test_aupdate_of_a_child_with_a_table_of_its_own(case, play):
    async def steps(orm):
        queryset = Captain.objects.filter(name__startswith="c")
        return await orm.call(queryset, "update", **UPDATES_OF_A_CHILD[case])

    play(steps, given=teams)


def test_aupdate_forgets_the_results_at_hand(play):
    async def steps(orm):
        queryset = Account.objects.order_by("pk")
        before = await orm.list(queryset)
        rows = await orm.call(queryset, "update", balance=3)
        return before, rows, await orm.list(queryset)

    play(steps, given=accounts)
