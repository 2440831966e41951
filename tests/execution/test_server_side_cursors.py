"""Cursors on the server over cached statements: their first rows come with their declaration."""

import pytest
from django.db import DataError
from django.db.models import F, FloatField, Value
from django.db.models.functions import Cast

from tests.library.models import Account
from tests.support.project import run_in_project
from tests.support.sent import Wire
from turbo_orm import async_atomic, async_connection
from turbo_orm.backend.task_connections import async_connections

OPEN = "SELECT count(*) FROM pg_cursors"

CODE = """
    from tests.library.models import Account
    from turbo_orm import async_atomic

    async def owners(size):
        chosen = Account.objects.filter(balance__gte=1).order_by("balance")
        return [each.owner async for each in chosen.aiterator(chunk_size=size)]

    async def main():
        await Account.objects.abulk_create(
            [Account(owner=f"{number}", balance=number) for number in range(5)]
        )
        for _ in range(5):
            await owners(9)
        found = []
        await Account.objects.filter(owner="begin").acount()
        found.append(await owners(9))
        found.append(await owners(2))
        async with async_atomic():
            await Account.objects.filter(owner="begun").acount()
            found.append(await owners(9))
        async with async_atomic():
            found.append(await owners(9))
        return found

    answer(asyncio.run(main()))
"""


def steps_of(sent):
    """Return the words of each message that is about a cursor."""
    start = next(index for index, each in enumerate(sent) if "'begin'" in each)
    found = []
    for each in sent[start:]:
        words = [part.split()[0] for part in each.split(";") if part]
        if {"DECLARE", "FETCH", "CLOSE"} & {*words}:
            found.append(words)
    return found


def test_what_is_sent(scratch):
    with Wire() as wire:
        found = run_in_project(
            CODE,
            DATABASES={"default": wire.database()},
            TURBO_ORM={"PREPARE": False},
        )
    assert found == [list("1234")] * 4
    assert steps_of(wire.sent) == [
        # Fewer rows than the chunk may have.
        ["DECLARE", "FETCH"],
        ["CLOSE"],
        # Two chunks are full, so a third one is asked for.
        ["DECLARE", "FETCH"],
        ["FETCH"],
        ["FETCH"],
        ["CLOSE"],
        # In a transaction.
        ["DECLARE", "FETCH"],
        ["CLOSE"],
        # As the first statement of one: psycopg sends the BEGIN.
        ["DECLARE"],
        ["FETCH"],
        ["CLOSE"],
    ]


@pytest.fixture
def accounts(scratch):
    Account.objects.bulk_create(
        [Account(owner=f"{number}", balance=number) for number in range(5)]
    )


def quotients():
    """Return a queryset that fails at one of its rows."""
    quotient = Cast(Value(1), FloatField()) / F("balance")
    return Account.objects.annotate(quotient=quotient).order_by("-balance")


async def iterate(queryset, size=9):
    return [each.owner async for each in queryset.aiterator(chunk_size=size)]


def test_a_statement_that_fails(accounts, run):
    """The error is Django's, no cursor is left, and the connection goes on."""
    with pytest.raises(DataError) as djangos:
        list(quotients())

    async def fail(size):
        with pytest.raises(DataError) as ours:
            await iterate(quotients(), size)
        assert str(ours.value) == str(djangos.value)
        assert type(ours.value.__cause__) is type(djangos.value.__cause__)

    async def steps():
        for _ in range(4):
            await iterate(quotients().filter(balance__gt=0))
        async with async_connection():
            for size in [9, 2]:
                await fail(size)
                assert await counted(OPEN) == 0
                with pytest.raises(DataError):
                    await in_transaction(size)
                assert await iterate(Account.objects.order_by("balance")) == list("01234")

    run(steps)


async def in_transaction(size):
    async with async_atomic():
        await Account.objects.acount()
        await iterate(quotients(), size)


async def counted(sql):
    cursor = await async_connections["default"].connection.execute(sql)
    return (await cursor.fetchone())[0]


def test_a_loop_that_is_left(accounts, run):
    """Its cursor is closed, in the first chunk and in a later one."""

    async def steps():
        chosen = Account.objects.order_by("balance")
        for _ in range(4):
            await iterate(chosen)
        async with async_connection():
            for last in range(4):
                iterator = chosen.aiterator(chunk_size=2)
                async for each in iterator:
                    if each.balance == last:
                        break
                assert await counted(OPEN) == 1
                await iterator.aclose()
                assert await counted(OPEN) == 0

    run(steps)
