"""Failures of what was learnt, in a transaction: what breaks it for Django breaks it."""

import pytest
from django.db import DataError, IntegrityError
from django.db.transaction import TransactionManagementError

from tests.library.models import Account, Entry, Event
from tests.support.givens import accounts

FAILURES = {
    "create": (lambda orm: orm.call(Account.objects, "create", owner="Ada"), IntegrityError),
    "create with what is not saved": (
        lambda orm: orm.call(Entry.objects, "create", account=Account(), amount=1),
        ValueError,
    ),
    "update": (lambda orm: orm.call(Account.objects, "update", owner="Ada"), IntegrityError),
    "update too far": (lambda orm: orm.call(Account.objects, "update", balance=2**40), DataError),
    "update by what is no number": (
        lambda orm: orm.call(Account.objects, "update", balance="x"),
        ValueError,
    ),
    "filter": (lambda orm: orm.call(Account.objects, "get", balance=7), Account.DoesNotExist),
}


WRONG = {
    "update": lambda orm, value: orm.call(Account.objects, "update", balance=value),
    "update by a year": lambda orm, value: orm.call(
        Event.objects.filter(created__year=value), "update", name="x"
    ),
    "delete by a year": lambda orm, value: orm.call(
        Entry.objects.filter(account__owner__in=[value], pk=value), "delete"
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_values_that_break_a_transaction(case, play):
    """Learnt from good ones, or tried with bad ones first."""

    async def steps(orm):
        found = []
        for value in ("x", "3", "2", "99999", "y", "4", "3"):
            try:
                async with orm.atomic():
                    try:
                        await WRONG[case](orm, value)
                    except ValueError as exc:
                        found.append(str(exc))
                    found.append(await orm.call(Account.objects.filter(balance=0), "count"))
            except TransactionManagementError as exc:
                found.append(str(exc))
        return found

    play(steps, given=accounts)


@pytest.mark.parametrize("case", FAILURES)
def test_failures_in_a_transaction(case, play):
    """After some, Django refuses further queries in it, and after others it does not."""
    fail, expected = FAILURES[case]

    async def steps(orm):
        found = []
        for _ in range(3):
            try:
                async with orm.atomic():
                    try:
                        await fail(orm)
                    except (DataError, IntegrityError, ValueError, Account.DoesNotExist) as exc:
                        found.append(isinstance(exc, expected))
                    found.append(await orm.call(Account.objects.filter(balance=0), "count"))
            except TransactionManagementError as exc:
                found.append(str(exc))
        return found

    play(steps, given=accounts)
