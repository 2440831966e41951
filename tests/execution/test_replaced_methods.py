"""Tools that put methods of their own in the place of a cursor's: they see every statement."""

from contextlib import contextmanager
from unittest import mock

import psycopg
import pytest
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper

from tests.library.models import Account
from tests.support.givens import accounts
from turbo_orm import async_atomic, conf

pytestmark = pytest.mark.usefixtures("scratch")


@contextmanager
def traced(owner, name, found):
    """Put a method there as a tracing tool does, at whatever time, and remove it."""
    original = getattr(owner, name)

    def trace(self, query, *args, **kwargs):
        found.append(query)
        return original(self, query, *args, **kwargs)

    with mock.patch.object(owner, name, trace):
        yield


async def statements():
    """Ask what a view may ask. Each is asked before, so that the statements are cached."""
    await Account.objects.acount()
    await Account.objects.aget(owner="Ada")
    await Account.objects.filter(balance__gte=0).alist()
    async with async_atomic():
        account = await Account.objects.acreate(owner="Eve")
        account.balance = 3
        await account.asave()
        await Account.objects.filter(owner="Eve").aupdate(balance=4)
        await account.adelete()


SENT = 8


@pytest.mark.parametrize(
    ("owner", "at_least"),
    [(CursorWrapper, SENT), (psycopg.AsyncCursor, SENT)],
    ids=["Django's cursor", "psycopg's cursor"],
)
def test_what_is_executed_is_seen(run, owner, at_least):
    accounts()
    found = []

    async def steps():
        for _ in range(4):
            await statements()
        with traced(owner, "execute", found):
            await statements()
            await statements()
        seen = len(found)
        await statements()
        return seen

    if conf.VERIFIES:
        pytest.skip("Each statement is compiled twice")
    assert run(steps) >= 2 * at_least
    verbs = {query.split()[0] for query in found if isinstance(query, str)}
    assert {"SELECT", "INSERT", "UPDATE", "DELETE"} <= verbs


def test_statements_are_direct_before_and_after(run, monkeypatch):
    from turbo_orm.backend import instrumentation
    from turbo_orm.execution import direct

    by_cursor = []
    execute = direct._execute_by_cursor
    monkeypatch.setattr(
        direct, "_execute_by_cursor", lambda *args: by_cursor.append(args) or execute(*args)
    )

    async def ask():
        # The first connects.
        await Account.objects.acount()
        before = len(by_cursor)
        await Account.objects.acount()
        return len(by_cursor) - before

    for _ in range(3):
        run(ask)
    assert run(ask) == 0
    for owner in (CursorWrapper, psycopg.AsyncConnection, CursorDebugWrapper):
        with traced(owner, "execute", []):
            assert run(ask) == 1
            assert owner.__name__ in instrumentation.replaced_method()
        assert run(ask) == 0
        assert instrumentation.replaced_method() == ""
