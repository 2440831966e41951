"""Errors that are swallowed inside a transaction, which is lost then, unless in a savepoint."""

import asyncio
from contextlib import suppress

import pytest
from django.db import DatabaseError, IntegrityError, connections

from tests.library.models import Account
from turbo_orm import async_atomic, run_sync


def sleep():
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_sleep(10)")


async def violate():
    with suppress(IntegrityError):
        await Account.objects.acreate(owner="Ada")


async def write_badly():
    with suppress(IntegrityError):
        await Account.objects.filter(owner="Bo").aupdate(owner="Ada")


async def exceed():
    with suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await run_sync(sleep)


async def read_badly():
    with suppress(DatabaseError):
        await Account.objects.extra(where=["no_such_column"]).alist()


SWALLOWED = {f.__name__: f for f in (violate, write_badly, exceed, read_badly)}
NEXT = {
    "count": lambda: Account.objects.acount(),
    "list": lambda: Account.objects.alist(),
    "create": lambda: Account.objects.acreate(owner="Cy"),
    "cursor": lambda: run_sync(Account.objects.count),
}


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("case", SWALLOWED)
def test_the_error_that_follows_names_the_savepoint(case, then, scratch, run):
    Account.objects.create(owner="Ada")
    Account.objects.create(owner="Bo")

    async def steps():
        async def block():
            async with async_atomic():
                await SWALLOWED[case]()
                await NEXT[then]()

        with pytest.raises(DatabaseError) as caught:
            await block()
        (note,) = caught.value.__notes__
        assert "async with async_atomic():" in note

    run(steps)


async def time_out():
    async with asyncio.timeout(0.1):
        await run_sync(sleep)


RAISED = {
    "violate": lambda: Account.objects.acreate(owner="Ada"),
    "write badly": lambda: Account.objects.filter(owner="Bo").aupdate(owner="Ada"),
    "exceed": time_out,
    "read badly": lambda: Account.objects.extra(where=["no_such_column"]).alist(),
}


@pytest.mark.parametrize("case", RAISED)
def test_a_savepoint_spares_the_transaction(case, scratch, run):
    Account.objects.create(owner="Ada")
    Account.objects.create(owner="Bo")

    async def steps():
        async with async_atomic():
            with pytest.raises((DatabaseError, TimeoutError)) as caught:
                async with async_atomic():
                    await RAISED[case]()
            assert not hasattr(caught.value, "__notes__")
            await Account.objects.acreate(owner="Cy")

    run(steps)
    assert Account.objects.count() == 3


def test_blocks_within_each_other_add_one_note(scratch, run):
    Account.objects.create(owner="Ada")

    async def steps():
        async def blocks():
            async with async_atomic(), async_atomic():
                await violate()
                await Account.objects.acount()

        with pytest.raises(DatabaseError) as caught:
            await blocks()
        return caught.value.__notes__

    assert len(run(steps)) == 1
