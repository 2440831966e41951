"""Async generator functions that are ``lazy_loading``."""

import asyncio
import inspect
from contextlib import aclosing
from contextvars import ContextVar

import pytest
from django.core.exceptions import SynchronousOnlyOperation

from tests.library.models import Account, Book
from turbo_orm import async_atomic, lazy_loading
from turbo_orm.backend.connection_state import Pin, State
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.bridge.lazy_loading import lazy_function

pytestmark = pytest.mark.usefixtures("library")

VARIABLE = ContextVar("VARIABLE", default="unset")


class OfNoAccount(Exception):
    """Raised by the tests alone."""


def state():
    return async_connections["default"].state


@lazy_loading
async def generating(number):
    """Yield names, and what is sent."""
    sent = None
    try:
        for book in Book.objects.order_by("pk")[:number]:
            await asyncio.sleep(0)
            try:
                sent = yield book.author.name, sent
            except OfNoAccount:
                yield len(Book.objects.all()), "thrown"
    finally:
        await asyncio.sleep(0)
        VARIABLE.set(f"{len(Book.objects.all())} at the end")


def test_async_generators(run):
    assert inspect.isasyncgenfunction(generating)
    assert generating.__doc__ == "Yield names, and what is sent."

    async def steps():
        names = [name async for name, _ in generating(3)]
        assert VARIABLE.get() == "30 at the end"
        # The consumer is not covered.
        async with aclosing(generating(5)) as found:
            first = await anext(found)
            assert lazy_function.get() is None
            with pytest.raises(SynchronousOnlyOperation):
                len(Book.objects.all())
            assert state() is State.IDLE
            second = await found.asend("sent")
            thrown = await found.athrow(OfNoAccount)
            VARIABLE.set("unset")
        assert VARIABLE.get() == "30 at the end"
        return [*names, first, second, thrown]

    expected = [book.author.name for book in Book.objects.order_by("pk")[:3]]
    names = [*expected, (expected[0], None), (expected[1], "sent"), (30, "thrown")]
    assert run(steps) == names


def test_an_async_generator_in_a_lazy_function(run):
    @lazy_loading
    async def ask():
        return [(name, len(Book.objects.all())) async for name, _ in generating(2)]

    assert [number for _, number in run(ask)] == [30, 30]


def test_an_async_generator_that_raises(run):
    @lazy_loading
    async def failing():
        yield len(Book.objects.all())
        raise OfNoAccount

    async def steps():
        found = failing()
        assert await anext(found) == 30
        with pytest.raises(OfNoAccount):
            await anext(found)
        with pytest.raises(StopAsyncIteration):
            await anext(found)

    run(steps)


def test_an_async_generator_in_a_transaction(scratch, run):
    @lazy_loading
    async def creating():
        async with async_atomic():
            for owner in ("Ada", "Bo"):
                yield Account.objects.create(owner=owner)

    async def steps():
        async for account in creating():
            assert Pin.TRANSACTION in async_connections["default"].pins
            assert account.pk
        async with aclosing(creating_more()) as found:
            await anext(found)
        return await Account.objects.acount()

    @lazy_loading
    async def creating_more():
        async with async_atomic():
            yield Account.objects.create(owner="Cy")

    assert run(steps) == 2
