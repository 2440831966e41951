"""Blocks of ``async_pipeline()``: what is gathered, and how it is sent."""

import asyncio

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, IntegrityError, InternalError, connections
from django.db.models import F, Prefetch, Sum
from django.db.transaction import TransactionManagementError, atomic
from django.test.utils import CaptureQueriesContext, override_settings
from psycopg import capabilities

from tests.faults.aliases import far, known_as
from tests.faults.fault import Action, Fault, Toward
from tests.faults.proxy import Proxy
from tests.library.models import Account, Entry
from tests.library.saving import Car, Crate, Depot, Shop, Vehicle
from tests.support.clients import Rival, until
from tests.support.statements import Ways, ask
from turbo_orm import async_atomic, async_connection, async_pipeline, run_sync
from turbo_orm.backend.connection_state import Pin
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.driver import prepared

pytestmark = pytest.mark.usefixtures("scratch")

ALIASES = ["default", "pooled"]
PREPARED = "SELECT name, statement FROM pg_prepared_statements WHERE name LIKE 'turbo_orm_%%'"
needs_pipelines = pytest.mark.skipif(
    not capabilities.has_pipeline(), reason="libpq before 14 has no pipelines"
)


class Order(Proxy):
    """A proxy that keeps the order of what is sent: statements, prepared ones, and their ends."""

    def __init__(self):
        super().__init__()
        self.order = []

    def first(self, toward: Toward, message: bytes) -> tuple[Fault, int] | None:
        match toward, message[:1]:
            case Toward.SERVER, b"Q":
                self.order.append("query")
            # But for the empty one that comes first where a result has been streamed before.
            case Toward.SERVER, b"P" if message[5:].split(b"\0")[1]:
                self.order.append("parse")
            # What is not prepared has no name.
            case Toward.SERVER, b"B" if message[5:].split(b"\0")[1]:
                self.order.append("bind")
            case Toward.CLIENT, b"Z":
                self.order.append("ready")
        return super().first(toward, message)

    async def gathered(self, coroutines, answered=0):
        """Gather coroutines, where nothing is answered until as many statements were sent.

        But for the first messages, of which so many are answered. Return what was sent.
        """
        self.order.clear()
        paused = self.add(Fault(Action.PAUSE, Toward.CLIENT, message=answered + 1))
        tasks = [asyncio.create_task(each) for each in coroutines]
        statements = ("parse", "bind")
        await until(lambda: sum(each in statements for each in self.order) == len(tasks))
        await until(paused.struck.is_set)
        found = [*self.order]
        self.resume()
        await asyncio.gather(*tasks)
        return found


@pytest.fixture
def order():
    """Return a proxy that keeps the order of messages, by way of which ``far`` is."""
    with Order() as proxy, far(proxy.database()):
        yield proxy


def accounts(alias="default"):
    return Account.objects.using(alias)


def assert_at_rest(alias="default", pins=()):
    """Assert that the running task's connection is as it was before the block."""
    connection = async_connections[alias]
    driver = connection.connection
    assert connection.pipeline is None
    assert [*connection.pins] == [*pins]
    assert not connection.is_dirty
    if driver is not None:
        assert not driver.lock.locked()
        assert driver.pgconn.pipeline_status == 0
        assert driver._reader.pipeline is None


async def fill(alias="default", number=5):
    for n in range(number):
        await accounts(alias).acreate(owner=f"filled {n}", balance=n)


def several(alias="default"):
    """Return coroutines, one of each kind of statement."""
    return [
        accounts(alias).acount(),
        accounts(alias).aget(owner="filled 1"),
        accounts(alias).order_by("pk").alist(),
        accounts(alias).filter(owner="filled 2").aupdate(balance=F("balance") + 1),
        accounts(alias).acreate(owner="new", balance=7),
    ]


async def often(alias, before=None):
    """Execute the statements of ``several()`` until they are prepared."""
    for _ in range(prepared.THRESHOLD + 3):
        for coroutine in several(alias):
            await coroutine
        await accounts(alias).filter(owner="new").adelete()


# One round trip


@needs_pipelines
@pytest.mark.parametrize("alias", ["far", "far_pooled"])
@pytest.mark.parametrize("prepares", [True, False])
def test_statements_are_one_round_trip(prepares, alias, order, run):
    async def gathered():
        # What the connection still has to ask is asked before.
        await accounts(alias).acount()
        async with async_pipeline(alias):
            found = await order.gathered(several(alias))
        await accounts(alias).filter(owner="new").adelete()
        return found

    async def in_a_transaction(has_begun):
        async with async_atomic(alias):
            if has_begun:
                await accounts(alias).acount()
            async with async_pipeline(alias):
                # The result of BEGIN, and that the server is ready.
                found = await order.gathered(several(alias), answered=0 if has_begun else 2)
            await accounts(alias).filter(owner="new").adelete()
        return found

    async def steps():
        async with async_connection(alias):
            await fill(alias)
            await often(alias)
            # The block knows by then whether a pooler is there.
            await gathered()
            return [await gathered(), await in_a_transaction(True), await in_a_transaction(False)]

    with override_settings(TURBO_ORM={"PREPARE": prepares}):
        outside, begun, not_begun = run(steps)
    sent = ["bind" if prepares else "parse"] * 5
    assert outside == begun == sent
    # BEGIN is answered before anything is sent that would be committed without it.
    assert not_begun == ["query", "ready", *sent]


@needs_pipelines
def test_what_is_gathered_often_is_prepared_at_the_end(run):
    async def names():
        return [statement for _, statement in await ask(PREPARED)]

    async def steps():
        await fill()
        for _ in range(2):
            await accounts().acount()
            await accounts().aget(owner="filled 1")
        async with async_connection():
            found = []
            for _ in range(2):
                # More often than it takes, at once.
                async with async_pipeline():
                    await asyncio.gather(*[accounts().acount() for _ in range(12)])
                    found.append(await names())
            found.append(await names())
            async with async_atomic():
                async with async_pipeline():
                    await asyncio.gather(*[accounts().aget(owner="filled 1") for _ in range(12)])
                found.append(await names())
            found.append(await names())
        return found

    before, in_second, after, in_transaction, after_transaction = run(steps)
    assert before == []
    assert len(in_second) == 1
    assert "COUNT" in in_second[0]
    assert after == in_second == in_transaction
    # Once, though it became due twice.
    assert len(after_transaction) == 2


@needs_pipelines
def test_a_table_is_altered_under_a_prepared_statement(run):
    async def alter(sql):
        await ask(f"ALTER TABLE library_account {sql}")

    async def steps():
        await fill()
        async with async_connection():
            await often("default")
            await alter("ADD COLUMN extra integer")
            try:
                async with async_pipeline():
                    found = await asyncio.gather(
                        *[accounts().aget(owner=f"filled {n}") for n in range(3)]
                    )
            finally:
                await alter("DROP COLUMN extra")
        return [each.owner for each in found]

    assert run(steps) == ["filled 0", "filled 1", "filled 2"]


@needs_pipelines
def test_statements_with_much_text_fill_the_socket(run):
    text = "x" * 10_000

    async def steps():
        async with async_pipeline():
            found = await asyncio.gather(
                *[ask("SELECT %s, %s", f"{n}", text) for n in range(1_000)]
            )
        assert_at_rest()
        return found

    found = run(steps)
    assert [number for [(number, _)] in found] == [str(n) for n in range(1_000)]
    assert {given for [(_, given)] in found} == {text}


@needs_pipelines
def test_tasks_go_on_while_the_rest_is_sent(run):
    """A task sends its next statement in the very call that brings its result."""
    text = "x" * 10_000

    async def twice(n):
        (first,) = (await ask("SELECT %s, %s", f"{n}", text))[0][:1]
        (second,) = (await ask("SELECT %s, %s", f"again {n}", text))[0][:1]
        return first, second

    async def steps():
        async with async_pipeline():
            return await asyncio.gather(*[twice(n) for n in range(500)])

    assert run(steps) == [(f"{n}", f"again {n}") for n in range(500)]


# The order


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("is_known", [True, False])
def test_statements_are_executed_in_order_of_start(is_known, alias, run, empty_cache):
    """Whether by the pipeline or by a cursor on the bridge, which has Django compile it."""

    def by_cursor(owner):
        with connections[alias].cursor() as cursor:
            cursor.execute("INSERT INTO library_account (owner, balance) VALUES (%s, 0)", [owner])

    async def steps():
        if is_known:
            await fill(alias)
            await often(alias)
        async with async_atomic(alias), async_pipeline(alias):
            tasks = []
            for n in range(12):
                owner = f"ordered {n:02}"
                coroutine = (
                    run_sync(by_cursor, owner)
                    if n % 4 == 3
                    else accounts(alias).acreate(owner=owner, balance=n)
                )
                tasks.append(asyncio.create_task(coroutine))
            # The owner's own, after those.
            await asyncio.sleep(0)
            await accounts(alias).acreate(owner="ordered 12")
            await asyncio.gather(*tasks)
        ordered = accounts(alias).filter(owner__startswith="ordered").order_by("pk")
        return [each.owner for each in await ordered.alist()]

    assert run(steps) == [f"ordered {n:02}" for n in range(13)]


# The same answers


async def the_terminals(alias, gather, is_in_transaction):
    """Return what a mix of terminals answers."""

    def by_cursor():
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM library_account")
            return cursor.fetchone()[0]

    def plainly():
        return [Account.objects.using(alias).get(owner="filled 3").balance]

    async def iterated():
        found = accounts(alias).order_by("owner").aiterator(chunk_size=2)
        return [each.owner async for each in found]

    async def raw():
        found = Account.objects.using(alias).raw("SELECT * FROM library_account ORDER BY id")
        return [each.owner async for each in found]

    async def prefetched():
        entries = Entry.objects.using(alias).order_by("amount")
        with_entries = (
            accounts(alias).order_by("pk").prefetch_related(Prefetch("entries", entries))
        )
        found = [each async for each in with_entries]
        return [[entry.amount for entry in each.entries.all()] for each in found]

    async def saved():
        account = await accounts(alias).aget(owner="filled 4")
        account.balance = 99
        await account.asave()
        await account.arefresh_from_db()
        return account.balance

    async def deleted():
        return await (await accounts(alias).aget(owner="goes")).adelete()

    async def cascades():
        return await accounts(alias).filter(owner="goes too").adelete()

    async def bulk():
        made = [Account(owner=f"bulk {n}", balance=n) for n in range(3)]
        return len(await accounts(alias).abulk_create(made))

    async def saved_to_two_tables():
        car = Car(name="bus", wheels=6, doors=3)
        await car.asave(using=alias)
        return await Vehicle.objects.using(alias).filter(car=car).acount()

    async def owner(queryset):
        return (await queryset).owner

    async def refused(coroutine):
        try:
            return await coroutine
        except (Account.DoesNotExist, DataError) as exc:
            return type(exc)

    async def in_bulk():
        found = await accounts(alias).ain_bulk(["filled 0"], field_name="owner")
        return [*found]

    async def got_or_created():
        account, is_new = await accounts(alias).aget_or_create(owner="filled 0")
        return account.owner, is_new

    coroutines = [
        owner(accounts(alias).aget(owner="filled 1")),
        owner(accounts(alias).order_by("owner").afirst()),
        refused(accounts(alias).aget(owner="none")),
        accounts(alias).filter(owner__startswith="filled").acount(),
        accounts(alias).filter(owner="none").aexists(),
        accounts(alias).filter(owner="filled 2").aupdate(balance=F("balance") * 10),
        accounts(alias).filter(owner="filled 2").values_list("balance", flat=True).aget(),
        accounts(alias).aaggregate(total=Sum("balance")),
        accounts(alias).order_by("owner").values("owner").afirst(),
        owner(accounts(alias).acreate(owner="made", balance=1)),
        iterated(),
        raw(),
        prefetched(),
        saved(),
        in_bulk(),
        got_or_created(),
        run_sync(by_cursor),
        run_sync(plainly),
    ]
    if is_in_transaction:
        # What Django puts into a transaction of its own.
        coroutines += [deleted(), cascades(), bulk(), saved_to_two_tables()]
    return await gather(*coroutines)


async def one_after_the_other(*coroutines):
    return [await each for each in coroutines]


async def prepare_rows(alias):
    await Car.objects.using(alias).all().adelete()
    await accounts(alias).all().adelete()
    await fill(alias)
    for name in ["goes", "goes too"]:
        account = await accounts(alias).acreate(owner=name)
        if name == "goes too":
            for amount in (3, 2):
                await Entry.objects.using(alias).acreate(account=account, amount=amount)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_terminals_answer_as_one_after_the_other(is_in_transaction, alias, run):
    async def gathered():
        if not is_in_transaction:
            async with async_pipeline(alias):
                return await the_terminals(alias, asyncio.gather, is_in_transaction)
        async with async_atomic(alias), async_pipeline(alias):
            return await the_terminals(alias, asyncio.gather, is_in_transaction)

    async def in_order():
        async with async_atomic(alias):
            return await the_terminals(alias, one_after_the_other, is_in_transaction)

    async def steps():
        await prepare_rows(alias)
        expected = await in_order()
        for _ in range(3):
            await prepare_rows(alias)
            found = await gathered()
            assert_at_rest(alias)
            # What several steps make of it depends on what has been done between them.
            for place, (one, other) in enumerate(zip(found, expected, strict=True)):
                if place not in (10, 11, 12, 16):
                    assert one == other, place
            assert [*map(type, found)] == [*map(type, expected)]

    run(steps)


def test_several_commands_in_one_text(run):
    async def steps():
        async with async_pipeline():
            return await asyncio.gather(
                *[ask("SELECT 1; SELECT 2"), ask("SELECT ';'"), ask("SELECT %s", ";")]
            )

    assert run(steps) == [[("1",)], [(";",)], [(";",)]]


@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_statements_are_logged_and_wrapped(is_in_transaction, run):
    async def gathered():
        async with async_pipeline():
            await asyncio.gather(*[accounts().acreate(owner=f"{n}") for n in range(3)])

    async def play():
        if not is_in_transaction:
            await gathered()
            return
        async with async_atomic():
            await gathered()

    seen = []

    def wrapper(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    async def steps():
        await play()
        await accounts().all().adelete()
        with CaptureQueriesContext(connections["default"]) as captured:
            await play()
        await accounts().all().adelete()
        with connections["default"].execute_wrapper(wrapper):
            await play()
        return [query["sql"] for query in captured.captured_queries]

    logged = run(steps)
    assert len([sql for sql in logged if sql.startswith("INSERT")]) == 3
    assert len([sql for sql in seen if sql.startswith("INSERT")]) == 3


@pytest.mark.parametrize("prepares", [True, False])
def test_nothing_leaves_the_direct_way(prepares, run, monkeypatch):
    ways = Ways(monkeypatch)

    async def steps():
        await ask("SELECT 1")
        async with async_atomic(), async_pipeline():
            return await asyncio.gather(*[ways.of(f"SELECT {n}") for n in range(3)])

    with override_settings(TURBO_ORM={"PREPARE": prepares}):
        assert run(steps) == ["direct"] * 3


# Errors


def test_an_error_is_that_of_its_statement(run):
    async def steps():
        await fill()
        async with async_pipeline():
            found = await asyncio.gather(
                accounts().acount(),
                accounts().acreate(owner="filled 1"),
                accounts().acreate(owner="nul \0"),
                ask("SELECT nothing"),
                accounts().acreate(owner="well"),
                return_exceptions=True,
            )
        assert_at_rest()
        return found, await accounts().acount()

    (count, duplicate, nul, unknown, made), after = run(steps)
    assert (count, after) == (5, 6)
    assert type(duplicate) is IntegrityError
    assert type(nul) in (DataError, ValueError)
    assert "nothing" in str(unknown)
    assert made.owner == "well"


@needs_pipelines
@pytest.mark.parametrize("alias", ALIASES)
def test_an_error_aborts_a_transaction(alias, run):
    async def steps():
        await fill(alias)
        await often(alias)
        found = []

        async def gathered():
            async with async_atomic(alias), async_pipeline(alias):
                found.extend(
                    await asyncio.gather(
                        accounts(alias).acount(),
                        accounts(alias).acreate(owner="before"),
                        ask("SELECT 1 / (SELECT 0)", using=alias),
                        accounts(alias).acount(),
                        accounts(alias).acreate(owner="behind"),
                        return_exceptions=True,
                    )
                )
                raise found[2]

        with pytest.raises(DataError):
            await gathered()
        assert_at_rest(alias)
        async with async_atomic(alias), async_pipeline(alias):
            await asyncio.gather(accounts(alias).acreate(owner="next"))
        return found, [each.owner for each in await accounts(alias).order_by("pk").alist()]

    (count, before, failed, *behind), owners = run(steps)
    assert count == 5
    assert before.owner == "before"
    assert type(failed) is DataError
    for error in behind:
        assert type(error) is InternalError
        assert "current transaction is aborted" in str(error)
    assert owners == [*[f"filled {n}" for n in range(5)], "next"]


def test_a_plain_gather_that_raises_leaves_the_block(run):
    """asyncio lets the others go on: their statements end before the block does."""

    async def late():
        await asyncio.sleep(0.05)
        return await accounts().acount()

    async def steps():
        await accounts().acount()
        others = []

        async def play():
            async with async_atomic(), async_pipeline():
                others.append(asyncio.create_task(late()))
                others.append(asyncio.create_task(ask("SELECT pg_sleep(0.02)")))
                await asyncio.gather(accounts().acreate(owner="x"), ask("SELECT nothing"))

        with pytest.raises(Exception, match="nothing"):
            await play()
        assert_at_rest()
        last, slept = await asyncio.gather(*others, return_exceptions=True)
        # Its block has ended, and so has its transaction.
        assert last == 0
        return slept

    assert type(run(steps)) in (list, InternalError)


# What is refused


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_blocks_are_refused_inside(is_in_transaction, alias, run):
    async def enter():
        async with async_atomic(alias):
            await accounts(alias).acreate(owner="never")

    def on_bridge():
        with atomic(using=alias):
            Account.objects.using(alias).create(owner="never")

    async def refused():
        attempts = [enter, lambda: run_sync(on_bridge)]
        attempts.append(lambda: accounts(alias).aget_or_create(owner="new"))
        for attempt in attempts:
            with pytest.raises(TransactionManagementError, match="inside async_pipeline"):
                await attempt()
        return await accounts(alias).acount()

    async def play():
        async with async_pipeline(alias):
            return [await refused(), *await asyncio.gather(refused(), refused())]

    async def steps():
        if not is_in_transaction:
            found = await play()
        else:
            async with async_atomic(alias):
                found = await play()
        assert_at_rest(alias)
        # Outside again, all of it works.
        async with async_atomic(alias):
            await accounts(alias).aget_or_create(owner="new")
        return found, await accounts(alias).acount()

    assert run(steps) == ([0, 0, 0], 1)


def test_what_needs_no_block_of_its_own_works_inside(run):
    async def steps():
        depot = await Depot.objects.acreate(name="d")
        await Crate.objects.acreate(depot=depot)
        shop = await Shop.objects.acreate(name="before")
        async with async_atomic(), async_pipeline():
            shop.name = "after"
            car = Car(name="car", doors=2)
            deleted, _, _ = await asyncio.gather(depot.adelete(), shop.asave(), car.asave())
        await shop.arefresh_from_db()
        car = await Car.objects.aget(pk=car.pk)
        return deleted[0], shop.name, car.name, car.doors

    assert run(steps) == (2, "after", "car", 2)


def test_who_was_started_in_the_transaction_before_is_refused(run):
    async def ask_when(event):
        await event.wait()
        return await accounts().acount()

    async def steps():
        event = asyncio.Event()
        async with async_atomic():
            await accounts().acreate(owner="x")
            task = asyncio.create_task(ask_when(event))
            await asyncio.sleep(0)
            async with async_pipeline():
                event.set()
                with pytest.raises(TransactionManagementError, match="async_pipeline"):
                    await task
                assert await asyncio.gather(accounts().acount()) == [1]

    run(steps)


def test_who_goes_on_after_the_block_is_refused_in_its_transaction(run):
    async def ask_when(event):
        await accounts().acount()
        await event.wait()
        return await accounts().acount()

    async def steps():
        event = asyncio.Event()
        async with async_atomic():
            await accounts().acreate(owner="x")
            async with async_pipeline():
                task = asyncio.create_task(ask_when(event))
                await accounts().acount()
            event.set()
            with pytest.raises(TransactionManagementError, match="was started inside it"):
                await task
        event.clear()
        async with async_pipeline():
            task = asyncio.create_task(ask_when(event))
            await accounts().acount()
        event.set()
        # There is nothing that it would not see: it has a connection of its own.
        return await task

    assert run(steps) == 1


def test_a_thread_is_not_in_the_block(tables):
    """It has the block's context, and neither its event loop nor its connection."""

    def in_thread():
        async def count():
            return await Account.objects.acount()

        return asyncio.run(count())

    async def steps():
        async with async_atomic(), async_pipeline():
            await accounts().acount()
            with pytest.raises(TransactionManagementError):
                await asyncio.to_thread(Account.objects.count)
            with pytest.raises(TransactionManagementError):
                await asyncio.to_thread(in_thread)
            assert await asyncio.gather(accounts().acount()) == [0]

    asyncio.run(steps())


def test_a_block_in_a_block_is_that_block(run):
    async def child():
        async with async_pipeline():
            return await asyncio.gather(accounts().acount(), accounts().acount())

    async def steps():
        async with async_pipeline():
            around = async_connections["default"].pipeline
            async with async_pipeline():
                assert async_connections["default"].pipeline is around
                found = await asyncio.gather(child(), child())
            assert async_connections["default"].pipeline is around
            assert async_connections["default"].pins == {Pin.PIPELINE: 1}
        assert_at_rest()
        return found

    assert run(steps) == [[0, 0], [0, 0]]


def test_a_connection_of_its_own_in_the_block(run):
    """A child has one by ``async_connection()``, with a block of its own if it wants that."""

    async def child():
        async with async_connection() as mine, async_pipeline():
            assert mine.pipeline is not None
            counts = await asyncio.gather(accounts().acount(), accounts().acount())
            return mine.connection.pgconn.backend_pid, counts

    async def steps():
        async with async_connection() as around, async_atomic():
            await accounts().acreate(owner="unseen")
            async with async_pipeline():
                seen, (pid, counts) = await asyncio.gather(accounts().acount(), child())
            pids = {pid, around.connection.pgconn.backend_pid}
        return seen, counts, len(pids)

    assert run(steps) == (1, [0, 0], 2)


def test_two_databases_at_once(run):
    async def steps():
        async with async_pipeline("default"), async_atomic("pooled"), async_pipeline("pooled"):
            await asyncio.gather(
                accounts("default").acreate(owner="one"),
                accounts("pooled").acreate(owner="other"),
            )
            with pytest.raises(TransactionManagementError, match="'pooled'"):
                async with async_atomic("pooled"):
                    pass
        assert_at_rest("pooled")
        assert_at_rest("default")
        return [each.owner for each in await accounts().order_by("owner").alist()]

    assert run(steps) == ["one", "other"]


def test_the_connection_can_be_closed_inside(run):
    """As between two statements: what was started before is answered, the next one connects."""

    def close():
        connections["pooled"].close()

    async def steps():
        async with async_pipeline("pooled"):
            found = await asyncio.gather(
                *[accounts("pooled").acount() for _ in range(3)],
                run_sync(close),
                *[accounts("pooled").acount() for _ in range(3)],
            )
        assert_at_rest("pooled")
        return found

    assert run(steps) == [0, 0, 0, None, 0, 0, 0]


def test_receivers_of_signals_are_in_the_block(run):
    """A child's sync receiver may query, and sees what the transaction has written."""
    from django.db.models.signals import post_save

    seen = []

    def receive(instance, **kwargs):
        seen.append(Account.objects.filter(owner=instance.owner).exists())

    async def steps():
        async with async_atomic(), async_pipeline():
            await asyncio.gather(*[accounts().acreate(owner=f"{n}") for n in range(3)])

    post_save.connect(receive, sender=Account)
    try:
        run(steps)
    finally:
        post_save.disconnect(receive, sender=Account)
    assert seen == [True] * 3


def test_rows_are_locked_in_a_child(run):
    def locked():
        return accounts().select_for_update().order_by("pk")

    async def steps():
        await fill()
        async with async_atomic(), async_pipeline():
            found = await asyncio.gather(locked().alist(), locked().afirst(), locked().alist())
        with pytest.raises(TransactionManagementError):
            async with async_pipeline():
                await asyncio.gather(locked().alist())
        return [len(found[0]), found[1].owner]

    assert run(steps) == [5, "filled 0"]


def test_a_database_without_async_connection(run):
    entry = {**connections.settings["default"], "ENGINE": "django.db.backends.postgresql"}

    async def steps():
        async with async_pipeline("plain"):
            pass

    with known_as("plain", entry), pytest.raises(ImproperlyConfigured):
        run(steps)


def test_a_lock_of_another_client_is_waited_for(run):
    """The others wait behind it, and all are answered."""
    Account.objects.create(owner="locked", balance=1)

    async def steps():
        async def release():
            await until(rival.is_waited_for)
            rival.commit()

        async with async_pipeline():
            add = accounts().filter(owner="locked").aupdate(balance=F("balance") + 1)
            found = await asyncio.gather(accounts().acount(), add, accounts().acount(), release())
        return found[:3], (await accounts().aget(owner="locked")).balance

    with Rival("UPDATE library_account SET balance = 50") as rival:
        assert run(steps) == ([1, 1, 1], 51)
