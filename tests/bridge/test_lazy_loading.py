"""Coroutine functions in which attributes, loops and ``len()`` await the database."""

import asyncio
import gc
import inspect
import traceback
from contextlib import aclosing, asynccontextmanager, suppress
from contextvars import ContextVar
from functools import partial
from operator import attrgetter

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.db import ProgrammingError, connections, transaction
from django.db.models.signals import post_save
from django.template import Context, Engine
from django.test.utils import CaptureQueriesContext
from django.views import View

from tests.faults.aliases import known_as
from tests.library.models import Account, Author, Book, Entry, Note, Player, Team
from tests.support import givens
from tests.support.counting import python_calls
from turbo_orm import async_atomic, async_connection, lazy_loading, run_sync
from turbo_orm.backend.connection_state import State
from turbo_orm.backend.shared_connection import shared_connections
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.bridge.lazy_loading import lazy_function

pytestmark = pytest.mark.usefixtures("library")

VARIABLE = ContextVar("VARIABLE", default="unset")


class OfNoAccount(Exception):
    """Raised by the tests alone."""


@pytest.fixture
def narrow():
    """Have a pool of one connection, under an alias."""
    pool = {"min_size": 1, "max_size": 1, "timeout": 5}
    default = settings.DATABASES["default"]
    entry = {**default, "OPTIONS": {**default.get("OPTIONS", {}), "pool": pool}}
    with known_as("narrow", entry):
        yield "narrow"


def select(sql, alias="default"):
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def state(alias="default"):
    return async_connections[alias].state


# What it is for


def names(book):
    return book.title, book.author.name, book.translator and book.translator.name


def deferred():
    book = Book.objects.only("title").latest("pk")
    return book.pages, book.author.name


def rendered(text, **context):
    return Engine().from_string(text).render(Context(context))


WORK = {
    "foreign keys": lambda: [names(book) for book in Book.objects.order_by("pk")[:3]],
    "a loop": lambda: [book.title for book in Book.objects.order_by("pk")],
    "len()": lambda: len(Book.objects.all()),
    "bool()": lambda: bool(Book.objects.filter(pages=-1)),
    "an index": lambda: Book.objects.order_by("pk")[2].title,
    "in": lambda: Book.objects.first() in Book.objects.all(),
    "a dict": lambda: dict(Book.objects.values_list("pk", "title")),
    "repr()": lambda: repr(Book.objects.order_by("pk")[:2]),
    "an iterator": lambda: [book.pk for book in Book.objects.order_by("pk").iterator(7)],
    "a raw queryset": lambda: len(list(Book.objects.raw("SELECT * FROM library_book"))),
    "a reverse relation": lambda: [
        [book.title for book in author.books.order_by("pk")] for author in Author.objects.all()
    ],
    "many to many": lambda: [[tag.label for tag in b.tags.all()] for b in Book.objects.all()[:3]],
    "one to one": lambda: Author.objects.get(name="Ada").profile.motto,
    "a generic relation": lambda: [note.target.title for note in Note.objects.order_by("pk")],
    "a deferred field": deferred,
    "get()": lambda: Book.objects.get(pk=Book.objects.latest("pk").pk).title,
    "a template": lambda: rendered(
        "{% for book in books %}{{ book.author.name }} {{ book.tags.all|length }}, {% endfor %}",
        books=Book.objects.order_by("pk")[:4],
    ),
    "a cursor": lambda: select("SELECT count(*) FROM library_book"),
}


def with_queries(work):
    connection = connections["default"]
    connection.ensure_connection()
    with CaptureQueriesContext(connection) as captured:
        answer = work()
    return answer, [query["sql"] for query in captured]


@pytest.mark.parametrize("work", WORK)
def test_sync_code_is_answered_by_the_queries_that_django_makes(work, run):
    from django.contrib.contenttypes.models import ContentType

    ContentType.objects.clear_cache()
    ContentType.objects.get_for_models(Book, Note)

    @lazy_loading
    async def ask():
        first = with_queries(WORK[work])
        await asyncio.sleep(0)
        return first, with_queries(WORK[work])

    expected = with_queries(WORK[work])
    first, second = run(ask)
    assert first[0] == second[0] == expected[0]
    # A cursor of the server has a name of its own.
    assert len(first[1]) == len(second[1]) == len(expected[1])
    if work != "an iterator":
        assert first[1] == second[1] == expected[1]


def test_what_is_loaded_asks_for_nothing_more(run):
    @lazy_loading
    async def ask():
        book = await Book.objects.select_related("author").alatest("pk")
        _, queries = with_queries(lambda: book.author.name)
        missing = await Book.objects.alatest("pk")
        _, once = with_queries(lambda: [missing.author.name for _ in range(3)])
        return len(queries), len(once)

    assert run(ask) == (0, 1)


def test_signals_and_writes(scratch, run):
    told = []

    def receive(sender, instance, **kwargs):
        told.append((instance.owner, Account.objects.count()))

    async def receive_too(sender, instance, **kwargs):
        told.append((instance.owner, await Account.objects.acount()))

    @lazy_loading
    async def write():
        Account.objects.create(owner="Ada")
        account = await Account.objects.acreate(owner="Bo")
        account.balance = 3
        account.save()
        account.entries.create(amount=4)
        return [entry.amount for entry in account.entries.all()], account.entries.get().account

    for receiver in (receive, receive_too):
        post_save.connect(receiver, Account)
    try:
        amounts, account = run(write)
    finally:
        for receiver in (receive, receive_too):
            post_save.disconnect(receiver, Account)
    assert (amounts, account.balance) == ([4], 3)
    assert told == [each for each in [("Ada", 1), ("Bo", 2), ("Bo", 2)] for _ in range(2)]


def test_hooks_of_a_commit(scratch, run):
    called = []

    async def hook():
        called.append(await Account.objects.acount())

    @lazy_loading
    async def write():
        with transaction.atomic():
            Account.objects.create(owner="Ada")
            transaction.on_commit(hook)
            transaction.on_commit(lambda: called.append(Account.objects.count()))
            await asyncio.sleep(0)
            assert called == []
        transaction.on_commit(hook)
        return called

    assert run(write) == [1, 1, 1]


# What it is


@lazy_loading
async def documented(one, *, two=2):
    """Say what it does."""
    return one, two


def test_it_is_the_function_that_it_decorates(run):
    assert inspect.iscoroutinefunction(documented)
    assert (documented.__name__, documented.__doc__) == ("documented", "Say what it does.")
    assert str(inspect.signature(documented)) == "(one, *, two=2)"
    assert documented.__module__ == __name__
    assert inspect.iscoroutinefunction(inspect.unwrap(documented))
    assert run(lambda: documented(1, two=3)) == (1, 3)


def test_a_sync_function_is_refused_and_told_the_way():
    with pytest.raises(TypeError, match=r"turbo_orm\.run_sync\(tests.*select, …\)"):
        lazy_loading(select)
    with pytest.raises(TypeError, match="is none"):
        lazy_loading(partial(select, "SELECT 1"))
    with pytest.raises(TypeError, match="is none"):

        @lazy_loading
        def generator():
            yield 1

    with pytest.raises(TypeError, match="is none"):
        lazy_loading(View)


def test_methods(run):
    class Asking:
        @lazy_loading
        async def method(self):
            return len(Book.objects.all()), type(self)

        @classmethod
        @lazy_loading
        async def of_class(cls):
            return len(Book.objects.all()), cls

        @staticmethod
        @lazy_loading
        async def static():
            return len(Book.objects.all()), None

        @lazy_loading
        async def __call__(self):
            return len(Book.objects.all()), "called"

    for method, said in [
        (Asking().method, Asking),
        (Asking.of_class, Asking),
        (Asking.static, None),
        (Asking(), "called"),
        (lazy_loading(partial(Asking().method)), Asking),
    ]:
        assert run(method) == (30, said)


# No connection is kept while the function waits


def test_a_function_that_waits_keeps_no_connection(narrow, run):
    happened = []

    @lazy_loading
    async def first(begun, ended):
        book = Book.objects.using(narrow).latest("pk")
        begun.set()
        await ended.wait()
        happened.append(book.author.name)

    @lazy_loading
    async def second(begun, ended):
        await begun.wait()
        happened.append(len(Book.objects.using(narrow).all()))
        ended.set()
        await asyncio.sleep(0)
        happened.append(Book.objects.using(narrow).count())

    async def steps():
        begun, ended = asyncio.Event(), asyncio.Event()
        async with asyncio.timeout(3), asyncio.TaskGroup() as group:
            group.create_task(first(begun, ended))
            group.create_task(second(begun, ended))

    run(steps)
    assert happened[0] == 30
    assert sorted(map(str, happened[1:])) == ["30", Book.objects.latest("pk").author.name]


BLOCKS = {
    "async_atomic": lambda: async_atomic("narrow"),
    "async_connection": lambda: async_connection("narrow"),
}


@asynccontextmanager
async def sync_atomic():
    with transaction.atomic("narrow"):
        yield


@asynccontextmanager
async def iterating():
    books = Book.objects.using("narrow").iterator(chunk_size=2)
    next(books)
    yield
    assert len(list(books)) == 29


@asynccontextmanager
async def aiterating():
    async with aclosing(Book.objects.using("narrow").aiterator(chunk_size=2)) as books:
        await anext(books)
        yield


BLOCKS |= {"atomic": sync_atomic, "an iterator": iterating, "an aiterator": aiterating}


@pytest.mark.parametrize("block", BLOCKS)
def test_what_needs_its_connection_keeps_it(block, narrow, run):
    happened = []

    @lazy_loading
    async def first(begun):
        async with BLOCKS[block]():
            pid = select("SELECT pg_backend_pid()", narrow)
            assert state(narrow) in (State.PINNED, State.IN_USE)
            begun.set()
            await asyncio.sleep(0.05)
            assert state(narrow) is State.PINNED
            assert select("SELECT pg_backend_pid()", narrow) == pid
            happened.append("first")
        return pid

    @lazy_loading
    async def second(begun):
        await begun.wait()
        assert len(Book.objects.using(narrow).all()) == 30
        happened.append("second")

    async def steps():
        begun = asyncio.Event()
        await asyncio.gather(first(begun), second(begun))

    run(steps)
    assert happened == ["first", "second"]


def test_a_cursor_that_outlives_its_connection_has_the_next_one(narrow, run):
    @lazy_loading
    async def first(begun, ended):
        with connections[narrow].cursor() as cursor:
            cursor.execute("SELECT generate_series(1, 3)")
            begun.set()
            await ended.wait()
            # What was received is the cursor's.
            found = [cursor.fetchone()]
            assert async_connections[narrow].connection is None
            found += cursor.fetchall()
            cursor.execute("SELECT 4")
            assert state(narrow) is State.IN_USE
            found += cursor.fetchall()
            await asyncio.sleep(0)
            cursor.executemany("SELECT %s", [(5,)])
            return [number for (number,) in found]

    @lazy_loading
    async def second(begun, ended):
        await begun.wait()
        with transaction.atomic(narrow):
            select("SELECT 1", narrow)
            ended.set()
            await asyncio.sleep(0)

    async def steps():
        begun, ended = asyncio.Event(), asyncio.Event()
        (numbers, _) = await asyncio.gather(first(begun, ended), second(begun, ended))
        return numbers

    assert run(steps) == [1, 2, 3, 4]


def sleep_on_server():
    return select("SELECT 1 FROM pg_sleep(0.05)")


async def sleep_by_raw():
    queryset = Author.objects.raw("SELECT a.* FROM library_author a, pg_sleep(0.05) LIMIT 1")
    return len(await queryset.alist())


async def sleep_at_once():
    return sleep_on_server()


async def sleep_on_bridge():
    return await run_sync(sleep_on_server)


async def sleep_in_nested_calls():
    def inside():
        sleep_on_server()
        return async_to_sync(run_sync)(sleep_on_server)

    return await run_sync(inside)


async def sleep_where_statements_are_watched():
    def watch(execute, *args):
        return execute(*args)

    with connections["default"].execute_wrapper(watch):
        return await sleep_directly()


async def sleep_directly():
    return await Author.objects.extra(where=["name = 'Ada' AND pg_sleep(0.05) IS NULL"]).acount()


STATEMENTS = [
    sleep_where_statements_are_watched,
    sleep_at_once,
    sleep_on_bridge,
    sleep_by_raw,
    sleep_in_nested_calls,
    sleep_directly,
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=attrgetter("__name__"))
@pytest.mark.parametrize("before", [True, False])
def test_nothing_is_released_under_a_statement(statement, before, run):
    seen = []

    @lazy_loading
    async def ask():
        # The task has a connection already, or gets it then.
        await Author.objects.acount() if before else Author.objects.count()
        connection = async_connections["default"]
        loop = asyncio.get_running_loop()
        for turn in range(1, 4):
            loop.call_later(0.01 * turn, lambda: seen.append(connection.state))
        await statement()
        await asyncio.sleep(0)
        return connection.state, connection.pins

    assert run(ask) == (State.IDLE, {})
    assert {*seen} == {State.IN_USE}


def test_many_functions_share_a_small_pool(scratch, run):
    pooled = "pooled"

    @lazy_loading
    async def count(team):
        await asyncio.sleep(0)
        return len(team.players.using(pooled).all())

    @lazy_loading
    async def work(number):
        team = Team(name=f"team {number}")
        async with async_atomic(pooled):
            await team.asave(using=pooled)
            try:
                async with async_atomic(pooled):
                    Player.objects.using(pooled).create(name="undone", team=team)
                    await asyncio.sleep(0)
                    with transaction.atomic(pooled):
                        Player.objects.using(pooled).create(name="undone, too", team=team)
                        raise OfNoAccount
            except OfNoAccount:
                assert not team.players.using(pooled).all()
            with transaction.atomic(pooled):
                await Player.objects.using(pooled).acreate(name=f"player {number}", team=team)
        await asyncio.sleep(0.001 * (number % 5))
        player = Player.objects.using(pooled).get(name=f"player {number}")
        await asyncio.sleep(0)
        assert await asyncio.gather(*[count(player.team) for _ in range(3)]) == [1] * 3
        return player.team.name, len(player.team.players.all())

    async def steps():
        found = await asyncio.gather(*[work(number) for number in range(40)])
        assert found == [(f"team {number}", 1) for number in range(40)]
        stats = async_connections[pooled].pool.get_stats()
        return stats["pool_size"], await Player.objects.using(pooled).acount()

    size, players = run(steps)
    assert size <= 4
    assert players == 40


# What asyncio and contextvars promise


def test_a_timeout_and_what_comes_after_it(run):
    async def asleep():
        len(Book.objects.all())
        await asyncio.sleep(60)

    async def on_the_server():
        select("SELECT pg_sleep(60)")

    @lazy_loading
    async def ask():
        for work in (asleep, on_the_server):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await work()
        return len(Book.objects.all())

    assert run(ask) == 30


def test_context_variables_are_shared_both_ways(run):
    @lazy_loading
    async def inner():
        seen = [VARIABLE.get()]
        len(Book.objects.all())
        VARIABLE.set("inside")
        await asyncio.sleep(0)
        seen.append(VARIABLE.get())
        await set_variable("awaited")
        return [*seen, VARIABLE.get(), lazy_function.get()]

    async def set_variable(value):
        await asyncio.sleep(0)
        VARIABLE.set(value)

    async def outer():
        VARIABLE.set("outside")
        seen = await inner()
        return [*seen, VARIABLE.get(), lazy_function.get()]

    name = f"{__name__}.test_context_variables_are_shared_both_ways.<locals>.inner"
    assert run(outer) == ["outside", "inside", "awaited", name, "awaited", None]


def test_exceptions_come_with_their_tracebacks(run):
    def fail_below():
        len(Book.objects.all())
        raise OfNoAccount("below")

    async def between():
        await asyncio.sleep(0)
        fail_below()

    @lazy_loading
    async def outer():
        try:
            await between()
        except OfNoAccount as exc:
            raise LookupError("above") from exc

    async def steps():
        with pytest.raises(LookupError) as caught:
            await outer()
        return caught.value

    error = run(steps)
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names[0] == "steps"
    assert names[-1] == "outer"
    below = [frame.name for frame in traceback.extract_tb(error.__cause__.__traceback__)]
    assert below == ["outer", "between", "fail_below"]


def test_errors_of_the_database_are_djangos(run):
    @lazy_loading
    async def ask():
        with pytest.raises(Book.DoesNotExist):
            Book.objects.get(pk=-1)
        with transaction.atomic():
            transaction.set_rollback(True)
            await asyncio.sleep(0)
            with pytest.raises(transaction.TransactionManagementError):
                Book.objects.count()
        return len(Book.objects.all())

    assert run(ask) == 30


def number_of_calls(function):
    """Return how many Python functions are called, and coroutines resumed."""

    async def main():
        await function()
        with python_calls() as calls:
            await function()
        return len(calls)

    return asyncio.run(main())


def test_it_costs_few_python_calls():
    async def sleep(times=0):
        for _ in range(times):
            await asyncio.sleep(0)

    @lazy_loading
    async def nesting(function):
        await function()

    lazy = lazy_loading(sleep)
    once = number_of_calls(lazy) - number_of_calls(sleep)
    assert once <= 20
    # A decorated function that another one awaits is on a bridge already.
    nested = number_of_calls(lambda: nesting(lazy)) - number_of_calls(lambda: nesting(sleep))
    assert nested <= 10
    twice, ten_times = (
        number_of_calls(partial(lazy, times)) - number_of_calls(partial(sleep, times))
        for times in (2, 10)
    )
    assert (ten_times - twice) / 8 <= 12


def test_functions_nest(run):
    @lazy_loading
    async def inner(depth):
        found = [len(Book.objects.all())]
        await asyncio.sleep(0)
        if depth:
            found += await inner(depth - 1)
            found += await run_sync(lambda: async_to_sync(inner)(0))
        return [*found, lazy_function.get().rpartition(".")[2]]

    @lazy_loading
    async def outer():
        async with async_atomic():
            found = await inner(1)
            with transaction.atomic():
                found += await inner(0)
        return found

    assert run(outer) == [30, 30, "inner", 30, "inner", "inner", 30, "inner"]


@pytest.mark.parametrize("alias", ["default", "pooled"])
def test_transactions(alias, scratch, run):
    accounts = Account.objects.using(alias)

    @lazy_loading
    async def write():
        with suppress(OfNoAccount):
            async with async_atomic(alias):
                accounts.create(owner="rolled back")
                raise OfNoAccount
        async with async_atomic(alias):
            accounts.create(owner="Ada")
            with suppress(OfNoAccount):
                async with async_atomic(alias):
                    await accounts.acreate(owner="rolled back")
                    await asyncio.sleep(0)
                    with transaction.atomic(alias):
                        accounts.create(owner="rolled back, too")
                    raise OfNoAccount
            with suppress(OfNoAccount), transaction.atomic(alias):
                accounts.create(owner="rolled back")
                await asyncio.sleep(0)
                raise OfNoAccount
            with transaction.atomic(alias):
                await accounts.acreate(owner="Bo")
                await asyncio.sleep(0)
        with suppress(OfNoAccount), transaction.atomic(alias):
            await accounts.acreate(owner="rolled back")
            raise OfNoAccount
        return [account.owner for account in accounts.order_by("owner")]

    assert run(write) == ["Ada", "Bo"]


def test_a_task_that_is_started_in_a_transaction_is_refused(run):
    async def child():
        return await Book.objects.acount()

    @lazy_loading
    async def ask():
        async with async_atomic():
            with pytest.raises(transaction.TransactionManagementError, match="is open in"):
                await asyncio.create_task(child())

    run(ask)


def test_with_uvloop():
    uvloop = pytest.importorskip("uvloop")

    @lazy_loading
    async def child(number):
        async with async_atomic("pooled"):
            await asyncio.sleep(0)
            return [book.author.name for book in Book.objects.using("pooled").all()[:number]]

    async def main():
        found = await asyncio.gather(*[child(number) for number in range(10)])
        await async_connections["pooled"].close()
        return [len(names) for names in found]

    assert uvloop.run(main()) == [*range(10)]


class ClosedAt:
    """Awaits a coroutine up to where it is suspended for the n-th time, and closes it there."""

    def __init__(self, coroutine, number):
        self.coroutine = coroutine
        self.number = number
        self.awaited = None

    def __await__(self):
        try:
            for _ in range(self.number):
                self.awaited = self.coroutine.send(None)
                yield self.awaited
        except StopIteration:
            return False
        # The end of a statement, or a ROLLBACK, cannot be waited for.
        with suppress(RuntimeError, ProgrammingError):
            self.coroutine.close()
        return True


def test_closing_the_coroutine_wherever_it_waits(run):
    ended = []

    @lazy_loading
    async def ask():
        try:
            book = Book.objects.latest("pk")
            await asyncio.sleep(0)
            with transaction.atomic():
                await asyncio.sleep(0)
                _ = book.author
            await asyncio.sleep(0)
        except GeneratorExit:
            ended.append("closed")
            raise
        finally:
            ended.append("finally")

    async def close(number):
        is_closed = await ClosedAt(ask(), number)
        connection = async_connections["default"]
        assert not connection.pins or connection.state is State.LOST
        return is_closed

    async def steps():
        number = 0
        # In a task of its own, which may have its transaction open at the end.
        while await asyncio.create_task(close(number := number + 1)):
            assert len(await Book.objects.alist()) == 30
        return number

    assert run(steps) > 5
    assert "closed" in ended


def test_a_coroutine_that_waits_once_more_when_it_is_closed(run):
    @lazy_loading
    async def ask():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)

    async def steps():
        coroutine = ask()
        coroutine.send(None)
        with pytest.raises(RuntimeError, match="was closed while it waited"):
            coroutine.close()

    run(steps)


def test_a_forgotten_coroutine_ends(run):
    ended = []

    @lazy_loading
    async def ask():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("finally")

    async def steps():
        coroutine = ask()
        coroutine.send(None)
        del coroutine
        gc.collect()
        await asyncio.sleep(0)

    run(steps)
    assert ended == ["finally"]


# A test's shared connection, and a thread inside atomic()


def test_tasks_take_turns_at_the_connection_of_a_test(scratch):
    givens.teams()

    @lazy_loading
    async def work(number):
        async with async_atomic():
            await asyncio.sleep(0)
            player = Player.objects.create(name=f"new {number}", team=Team.objects.first())
        await asyncio.sleep(0)
        found = await Player.objects.aget(pk=player.pk)
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
            await asyncio.sleep(0)
            cursor.execute("SELECT 2")
            return found.team.name, cursor.fetchone()[0]

    async def main():
        async with asyncio.timeout(10):
            return await asyncio.gather(*[work(number) for number in range(10)])

    test = transaction.atomic()
    test._from_testcase = True
    with shared_connections(["default"]), test:
        shared = async_connections.shared["default"]
        assert asyncio.run(main()) == [("red", 2)] * 10
        assert shared.state is State.IDLE
        transaction.set_rollback(True)


def test_a_thread_inside_atomic_is_not_covered(scratch):
    @lazy_loading
    async def ask():
        account = await Account.objects.acreate(owner="Ada")
        await Entry.objects.acreate(account=account, amount=1)
        entry = await Entry.objects.aget()
        with pytest.raises(SynchronousOnlyOperation):
            _ = entry.account
        return (await run_sync(lambda: entry.account)).owner

    with transaction.atomic():
        assert async_to_sync(ask)() == "Ada"
        transaction.set_rollback(True)
