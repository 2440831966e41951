"""``lazy_loading`` functions that start tasks, which it does not cover."""

import asyncio
from functools import partial

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections
from psycopg.pq import TransactionStatus

from tests.library.models import Author, Book
from tests.support.clients import until
from turbo_orm import bridge, lazy_loading, run_sync
from turbo_orm.backend.connection_state import State
from turbo_orm.backend.task_connections import async_connections, in_context

pytestmark = pytest.mark.usefixtures("library")


@lazy_loading
async def starting(start):
    """Start a task by a function."""
    book = await Book.objects.alatest("pk")
    return await start(partial(touch, book))


async def touch(book):
    task = asyncio.current_task()
    first = bridge.active()
    with pytest.raises(SynchronousOnlyOperation) as caught:
        _ = book.author
    await asyncio.sleep(0)
    with pytest.raises(SynchronousOnlyOperation):
        len(Book.objects.all())
    assert asyncio.current_task() is task
    # What awaits is answered, by sync code, too.
    author = await Author.objects.aget(pk=book.author_id)
    assert await run_sync(lambda: book.author) == author
    assert book.author == author
    return str(caught.value), first, bridge.active()


async def by_task(child):
    return await asyncio.create_task(child())


async def by_gather(child):
    found, again = await asyncio.gather(child(), Book.objects.acount())
    assert again == 30
    return found


async def by_group(child):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(child())
    return task.result()


async def by_group_of_eager_tasks(child):
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    return await by_group(child)


async def by_eager_task(child):
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    return await by_task(child)


async def by_sync_code_and_eager_task(child):
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    return await (await run_sync(lambda: asyncio.create_task(child())))


WAYS = [
    by_task,
    by_gather,
    by_group,
    by_eager_task,
    by_group_of_eager_tasks,
    by_sync_code_and_eager_task,
]


@pytest.mark.parametrize("start", WAYS, ids=lambda start: start.__name__)
def test_tasks_are_not_covered_and_the_error_says_so(start, run):
    said, *active = run(lambda: starting(start))
    assert "Book.author is not loaded" in said
    assert f"started by {__name__}.starting()" in said
    assert "a task of its own" in said
    assert active == [False, False]


@pytest.mark.parametrize("start", WAYS, ids=lambda start: start.__name__)
def test_tasks_that_are_decorated_themselves_are_covered(start, run):
    @lazy_loading
    async def child():
        task = asyncio.current_task()
        books = [book.author.name for book in Book.objects.all()[:3]]
        await asyncio.sleep(0)
        assert asyncio.current_task() is task
        return books + [book.author.name for book in Book.objects.all()[:3]]

    @lazy_loading
    async def parent():
        found = await start(child)
        return found, len(Book.objects.all())

    found, number = run(parent)
    assert (len(found), number) == (6, 30)


def test_eager_tasks_that_outlive_the_function(run):
    """Their bridge began on one that has ended when they go on."""

    async def plain():
        return await run_sync(lambda: [book.author.name for book in Book.objects.all()[:3]])

    @lazy_loading
    async def decorated():
        return [book.author.name for book in Book.objects.all()[:3]]

    @lazy_loading
    async def start():
        len(Book.objects.all())
        tasks = [asyncio.create_task(child()) for child in (plain, decorated, plain)]
        assert bridge.active()
        len(Author.objects.all())
        return tasks

    async def steps():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await asyncio.gather(*(await start()))

    first, *others = run(steps)
    assert others == [first, first]


def test_an_eager_task_of_sync_code_keeps_its_connection_during_a_statement(run):
    """What it acquires is not released by the bridge that it has begun on."""

    def sleep():
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.2)")

    async def child():
        await run_sync(sleep)
        return async_connections["default"].state

    def begin():
        task = asyncio.create_task(child())
        connection = task.get_context()[in_context]["default"]
        bridge.await_(until(lambda: is_active(connection.connection)))
        return task, connection

    def is_active(driver):
        status = TransactionStatus.ACTIVE
        return driver is not None and driver.info.transaction_status is status

    async def steps():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        task, connection = await run_sync(begin)
        assert is_active(connection.connection)
        return connection.state, await task

    assert run(steps) == (State.IN_USE, State.IDLE)


def test_a_callback_of_the_loop_is_not_covered(run):
    @lazy_loading
    async def ask():
        book = Book.objects.latest("pk")
        found = asyncio.get_running_loop().create_future()

        def call():
            with pytest.raises(SynchronousOnlyOperation) as caught:
                _ = book.author
            found.set_result(str(caught.value))

        asyncio.get_running_loop().call_soon(call)
        return await found

    assert "Book.author is not loaded" in run(ask)
