"""Tools that put methods of their own in the place of a cursor's: they see every statement."""

from contextlib import contextmanager
from functools import partialmethod
from unittest import mock

import psycopg
import pytest
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper

from tests.library.models import Account
from tests.support.givens import accounts
from turbo_orm import async_atomic, conf
from turbo_orm.backend import instrumentation
from turbo_orm.bridge.replaced_methods import modifications

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
    from turbo_orm.execution import direct

    by_cursor = []
    execute = direct.execute_by_cursor
    monkeypatch.setattr(
        direct, "execute_by_cursor", lambda *args: by_cursor.append(args) or execute(*args)
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


def by_wrapt(original):
    """Return a proxy that passes for what it wraps: OpenTelemetry and New Relic use it."""
    wrapt = pytest.importorskip("wrapt")

    @wrapt.decorator
    def wrapper(wrapped, instance, args, kwargs):
        return wrapped(*args, **kwargs)

    return wrapper(original)


def by_bound_method(original):
    class Tool:
        def execute(self, *args, **kwargs):
            return original(*args, **kwargs)

    return Tool().execute


class Descriptor:
    """A tool's descriptor, which is not callable itself."""

    def __init__(self, original):
        self.original = original

    def __get__(self, instance, owner):
        return self.original.__get__(instance, owner)


def by_partial(original):
    def call(self, *args, tool, **kwargs):
        return original(self, *args, **kwargs)

    return partialmethod(call, tool="one")


@pytest.mark.parametrize("wrap", [by_wrapt, by_bound_method, Descriptor, by_partial])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (CursorWrapper, "execute"),
        (psycopg.AsyncCursor, "execute"),
        (psycopg.AsyncConnection, "connect"),
    ],
)
def test_what_passes_for_the_method_is_noticed(owner, name, wrap):
    assert instrumentation.replaced_method() == ""
    original = vars(owner)[name]
    setattr(owner, name, wrap(original))
    try:
        assert instrumentation.replaced_method().endswith(f"{name} is another package's")
    finally:
        setattr(owner, name, original)
    assert instrumentation.replaced_method() == ""


def test_injected_bytecode_is_noticed():
    """A tool may exchange the bytecode of a function (ddtrace): no class is modified then."""

    def execute(self, sql, params=None):
        return Tool(self, sql, params)

    class Tool:
        pass

    code = execute.__code__
    injected = code.replace(
        co_freevars=(), co_consts=(*code.co_consts, lambda *args: None), co_code=code.co_code
    )
    original = CursorWrapper.execute.__code__
    CursorWrapper.execute.__code__ = injected
    try:
        # It is looked at when a class is modified the next time.
        modifications()
        assert "execute is another package's" in instrumentation.replaced_method()
    finally:
        CursorWrapper.execute.__code__ = original
        modifications()
    assert instrumentation.replaced_method() == ""
