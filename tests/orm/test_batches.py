"""Bulk inserts and updates of several batches, which are executed by one message."""

import asyncio
import datetime
from contextlib import asynccontextmanager, contextmanager

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, connections
from django.db.models import F, IntegerField, Model, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Upper
from django.test.utils import isolate_apps
from django_async_backend.db import async_connections

from tests.library.bulk import Parcel, Stamp
from tests.library.models import Account, Captain, Entry, Seat
from tests.support.answers import django_hydrates, fingerprint
from tests.support.givens import accounts
from tests.support.project import run_in_project
from tests.support.scenario import TurboPlayer, contents, without_loop
from tests.support.sent import Wire
from tests.support.tables import empty
from turbo_orm import AsyncManager, async_atomic, async_connection, async_pipeline
from turbo_orm.execution import batches, direct

# What is sent

SENT = """
    from tests.library.models import Account
    from turbo_orm import async_atomic

    def accounts(text, number, **values):
        return [Account(owner=f"{text} {n}", **values) for n in range(number)]

    async def ask(text):
        await Account.objects.filter(owner=text).acount()

    async def main():
        await ask("begin")
        created = await Account.objects.abulk_create(accounts("a", 10), batch_size=3)
        for each in created:
            each.balance = 70
        await ask("update")
        rows = await Account.objects.abulk_update(created, ["balance"], batch_size=3)
        await ask("in a transaction")
        async with async_atomic():
            await Account.objects.acount()
            await Account.objects.abulk_create(accounts("b", 10), batch_size=3)
            await Account.objects.abulk_update(created, ["balance"], batch_size=3)
        await ask("with keys and without")
        mixed = accounts("c", 4) + [Account(pk=1000 + n, owner=f"d {n}") for n in range(4)]
        await Account.objects.abulk_create(mixed, batch_size=2)
        await ask("one batch")
        await Account.objects.abulk_update(created, ["balance"])
        await ask("many")
        await Account.objects.abulk_create(accounts("f", 250), batch_size=1)
        await ask("end")
        return [each.pk for each in created], rows, [each.pk for each in mixed]

    answer(asyncio.run(main()))
"""

INSERTS, UPDATES = ["INSERT"] * 4, ["UPDATE"] * 4
EXPECTED = {
    "begin": [["BEGIN", *INSERTS], ["COMMIT"]],
    "update": [["BEGIN", *UPDATES], ["COMMIT"]],
    "in a transaction": [["BEGIN"], ["SELECT"], INSERTS, UPDATES, ["COMMIT"]],
    "with keys and without": [["BEGIN", *INSERTS[:2]], INSERTS[:2], ["COMMIT"]],
    "one batch": [["BEGIN", "UPDATE"], ["COMMIT"]],
    "many": [["BEGIN"] + ["INSERT"] * 100, ["INSERT"] * 100, ["INSERT"] * 50, ["COMMIT"]],
    "end": [],
}


@pytest.mark.parametrize("settings", [{}, {"PREPARE": False}], ids=["prepared", "literals"])
@pytest.mark.parametrize("pool", [{}, {"pool": {"min_size": 1, "max_size": 1}}], ids=str)
def test_what_is_sent(scratch, settings, pool):
    with Wire() as wire:
        databases = {"default": wire.database(**pool)}
        found = run_in_project(SENT, DATABASES=databases, TURBO_ORM=settings)
    assert found == [[*range(1, 11)], 10, [*range(21, 25), *range(1000, 1004)]]
    # Behind the last question, that may be prepared.
    assert words(wire.sent, EXPECTED) | {"end": []} == EXPECTED


def words(sent, texts):
    """Return the first word of each statement, by message, behind the question for each text."""
    found, words = {}, None
    for message in sent:
        text = next((text for text in texts if f"'{text}'" in message), None)
        if text is not None:
            words = found[text] = []
        elif words is not None:
            words.append([each.split()[0] for each in message.split(";") if each.strip()])
    return found


# Whether it is what Django does

NOW = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)


@asynccontextmanager
async def context(orm, is_in_transaction):
    if not is_in_transaction:
        yield
        return
    async with orm.atomic():
        await orm.call(Account.objects, "count")
        yield


@pytest.fixture
def messages(monkeypatch):
    """Return how many statements were executed by each message, and whether they were at all."""
    found = []
    execute = direct.execute_together

    async def counted(using, statements):
        try:
            results = await execute(using, statements)
        except DatabaseError:
            found.append((len(statements), "raised"))
            raise
        found.append((len(statements), results is not None))
        return results

    monkeypatch.setattr(direct, "execute_together", counted)
    return found


@pytest.fixture
def compare(tables, run):
    """Return a function that plays steps by Django and by turbo-orm, unlogged, and compares."""

    def compare(steps, given=accounts):
        found = []
        for play in (by_django, by_turbo_orm):
            empty("default")
            given()
            found.append((play(steps), contents()))
        assert found[1] == found[0]
        return found[0][0]

    def by_django(steps):
        with django_hydrates():
            return without_loop(lambda player: outcome(steps, player))()

    def by_turbo_orm(steps):
        return run(lambda: outcome(steps, TurboPlayer()))

    return compare


async def outcome(steps, orm):
    """Return what steps return or raise, and what has become of the objects."""
    objs = []
    try:
        found = await steps(orm, objs)
    except Exception as exc:
        found = (type(exc), str(exc), type(exc.__cause__), type(exc.__context__))
    return fingerprint((found, objs))


def owners(*names, **values):
    return [Account(owner=name, **values) for name in names]


def numbered(number, **values):
    return owners(*[f"new {n}" for n in range(number)], **values)


UPSERT = {
    "update_conflicts": True,
    "update_fields": ["balance"],
    "unique_fields": ["owner"],
}
CREATED = {
    "keys of the database": lambda: (numbered(7), {}),
    "keys of one's own": lambda: ([Account(pk=50 - n, owner=f"{n}") for n in range(5)], {}),
    "some of each": lambda: (
        [Account(pk=(50 + n if n % 3 else None), owner=f"{n}") for n in range(13)],
        {},
    ),
    "ignored conflicts": lambda: (owners(*"ab", "Ada", *"cd", "Bo"), {"ignore_conflicts": True}),
    "updated conflicts": lambda: (owners(*"ab", "Ada", *"cd", "Bo", balance=7), UPSERT),
    "a composite key": lambda: ([Seat(row=1, number=n) for n in range(5)], {}),
    "values of the database": lambda: ([Stamp() for _ in range(5)], {}),
    "some values of the database": lambda: ([Stamp(price=1), Stamp(), Stamp(price=2)] * 2, {}),
    "expressions": lambda: ([Account(owner=Upper(Value(each))) for each in "abcde"], {}),
    "placeholders of other kinds": lambda: (
        [*owners(*"abc"), *owners(RawSQL("%t", ["d"])), *owners(*"efg")],
        {},
    ),
    "related objects": lambda: ([Entry(account=Account(pk=1), amount=n) for n in range(5)], {}),
}
ALONE = {
    "files, which Django stores batch by batch": lambda: ([Parcel() for _ in range(5)], {}),
    "one batch": lambda: (numbered(2), {}),
    "a table of the parent's": lambda: ([Captain(name="a", armband="b")] * 3, {}),
}
REFUSED = {
    "a batch size": lambda: (numbered(5), {"batch_size": 0}),
    "one that is there": lambda: (owners(*"abc", "Ada", *"def"), {}),
    "one that is there, in the first batch": lambda: (owners("Ada", *"abc"), {}),
    "one that is there, behind those with keys": lambda: (
        [*owners(*"abc", "Ada"), *[Account(pk=50 + n, owner=f"{n}") for n in range(5)]],
        {},
    ),
    "no number, in Python": lambda: (numbered(3) + owners("x", balance="many"), {}),
    "no text, in the driver": lambda: (owners(*"abc", "a\0b", "d"), {}),
    "one that is there, before what is no number": lambda: (
        [*owners(*"abc", "Ada"), *owners("x", balance="many")],
        {},
    ),
    "one that is there, before what is no text": lambda: (owners(*"ab", "Ada", "d", "a\0b"), {}),
    "raw SQL with a percent sign": lambda: (owners(*"abc", RawSQL("'%'", [])), {}),
    "raw SQL without its parameter": lambda: (owners(*"abc", RawSQL("%s", [])), {}),
    "one that is there, before raw SQL without its parameter": lambda: (
        owners(*"ab", "Ada", "d", RawSQL("%s", [])),
        {},
    ),
    "an object of another model": lambda: ([*numbered(3), Seat(row=1, number=1)], {}),
}


@pytest.mark.parametrize("is_in_transaction", [False, True], ids=["outside", "in a transaction"])
@pytest.mark.parametrize("case", CREATED | ALONE | REFUSED)
def test_what_is_created(case, is_in_transaction, compare, messages, monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)

    async def steps(orm, objs):
        made, options = (CREATED | ALONE | REFUSED)[case]()
        objs += made
        async with context(orm, is_in_transaction):
            created = await orm.call(
                type(objs[0]).objects, "bulk_create", objs, **{"batch_size": 2, **options}
            )
        return [id(each) for each in created] == [id(each) for each in objs]

    compare(steps)
    if case not in REFUSED:
        assert bool(messages) == (case in CREATED)


ROWS = [(1, "a"), (2, "b"), (50, "c"), (3, "d"), (4, "e")]


def changed():
    return [Account(pk=pk, owner=owner, balance=pk) for pk, owner in ROWS]


def with_expression():
    objs = changed()
    objs[3].balance = F("balance") + 1
    return objs


def deferred():
    objs = changed()
    objs[3] = Account.from_db("default", ["id", "owner"], [3, "d"])
    return objs


UPDATED = {
    "all": lambda: (Account.objects, changed()),
    "some": lambda: (Account.objects.filter(balance__gte=10), changed()),
    "one batch": lambda: (Account.objects, changed()[:2]),
    "an expression in the second batch": lambda: (Account.objects, with_expression()),
    "an object twice": lambda: (Account.objects, [*changed()[:2], *changed()[:1] * 2]),
    "an object in two batches": lambda: (Account.objects, [*changed()[:3], *changed()[:3]]),
    "what is deferred": lambda: (Account.objects, deferred()),
    "one that is there": lambda: (
        Account.objects,
        [Account(pk=pk, owner=owner, balance=1) for pk, owner in [*ROWS[:3], (3, "a")]],
    ),
    "no number, in the second batch": lambda: (
        Account.objects,
        [*changed()[:3], Account(pk=3, owner="x", balance="many")],
    ),
    "one that is there, before what is no number": lambda: (
        Account.objects,
        [Account(pk=1, owner="Bo"), *changed()[1:3], Account(pk=3, owner="x", balance="many")],
    ),
    "a condition with a percent sign": lambda: (
        Account.objects.extra(where=["owner LIKE 'A%'"]),
        changed(),
    ),
    "a condition with a placeholder of another kind": lambda: (
        Account.objects.extra(where=["owner > %t"], params=["A"]),
        changed(),
    ),
    "none": lambda: (Account.objects, []),
}


@pytest.mark.parametrize("is_in_transaction", [False, True], ids=["outside", "in a transaction"])
@pytest.mark.parametrize("case", UPDATED)
def test_what_is_updated(case, is_in_transaction, compare, messages):
    async def steps(orm, objs):
        queryset, made = UPDATED[case]()
        objs += made
        async with context(orm, is_in_transaction):
            return await orm.call(
                queryset, "bulk_update", objs, ["owner", "balance"], batch_size=2
            )

    compare(steps)
    if case in {"all", "some", "an object in two batches", "one that is there"}:
        assert [number for number, _ in messages] == [3 if case != "one that is there" else 2]


def test_how_a_transaction_is_left(compare, messages):
    """What follows an error is refused, and what is around a savepoint goes on."""

    async def steps(orm, objs):
        found = []
        async with orm.atomic():
            await orm.call(Account.objects, "create", owner="before")
            for method, made, args in [
                ("bulk_create", owners(*"abc", "Ada", "d"), ()),
                ("bulk_update", [Account(pk=pk, owner="Bo") for pk in (1, 2, 3)], (["owner"],)),
            ]:
                objs += made
                try:
                    async with orm.atomic():
                        try:
                            await orm.call(Account.objects, method, made, *args, batch_size=1)
                        except IntegrityError as exc:
                            found.append(str(exc))
                        await orm.call(Account.objects, "count")
                except DatabaseError as exc:
                    found.append((type(exc), str(exc)))
            await orm.call(Account.objects, "bulk_create", owners(*"xyz"), batch_size=1)
        return found

    compare(steps)
    assert [outcome for _, outcome in messages] == ["raised", "raised", True]


def test_an_error_that_says_where_it_is(scratch, messages, run):
    """Where they begin the transaction, each is executed by itself then, for Django's error."""

    def rename(old, new):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE library_account RENAME COLUMN {old} TO {new}")

    def create():
        Account.objects.bulk_create(numbered(5), batch_size=2)

    rename("balance", "amount")
    try:
        with django_hydrates(), pytest.raises(DatabaseError) as expected:
            create()

        async def steps():
            with pytest.raises(DatabaseError) as found:
                await Account.objects.abulk_create(numbered(5), batch_size=2)
            async with async_atomic():
                await Entry.objects.acount()
                with pytest.raises(type(expected.value)) as later:
                    await Account.objects.abulk_create(numbered(5), batch_size=2)
            return type(found.value), str(found.value), str(later.value).splitlines()[0]

        text = str(expected.value)
        assert run(steps) == (type(expected.value), text, text.splitlines()[0])
    finally:
        rename("amount", "balance")
    # Where it stands in the statement is said of the message, in a transaction.
    assert messages == [(3, False), (3, "raised")]


def test_what_was_on_its_way_behind_an_error(scratch, run):
    """Its instances are saved no more than Django's, but ``auto_now`` has set their attributes."""

    async def steps():
        await Stamp.objects.acreate(pk=2)
        made = [Stamp(pk=pk) for pk in (1, 2, 3)]
        with pytest.raises(IntegrityError):
            await Stamp.objects.abulk_create(made, batch_size=1)
        return made, await Stamp.objects.acount()

    made, number = run(steps)
    assert number == 1
    assert all(each._state.adding and each._state.db is None for each in made)
    assert [each.changed is None for each in made] == [False] * 3


@pytest.mark.parametrize("method", ["get_prep_value", "get_db_prep_value", "get_db_prep_save"])
def test_a_field_that_asks_for_what_was_inserted(method, run, tables):
    """Django makes a batch when those before it are inserted."""

    def count(field, value, *args, **kwargs):
        return Counted.objects.count()

    with isolate_apps("tests.library"):

        class Counted(Model):
            number = type("Counting", (IntegerField,), {method: count})()

            objects = AsyncManager()

            class Meta:
                app_label = "library"
                db_table = "counted"

        def numbers():
            return [*Counted.objects.order_by("pk").values_list("number", flat=True)]

        with connection.schema_editor() as editor:
            editor.create_model(Counted)
        try:
            with django_hydrates():
                Counted.objects.bulk_create([Counted() for _ in range(5)], batch_size=2)
            expected = numbers()
            Counted.objects.all()._raw_delete("default")
            run(lambda: Counted.objects.abulk_create([Counted() for _ in range(5)], batch_size=2))
            assert numbers() == expected == [0, 0, 2, 2, 4]
        finally:
            with connection.schema_editor() as editor:
                editor.delete_model(Counted)


# The bounds of a message


def test_large_batches(scratch, messages, run, monkeypatch):
    """No batch follows in a message that is large enough, and memory holds those of a message."""
    monkeypatch.setattr(batches, "BYTES", 1_000)
    alive, most = set(), []

    class Batch(batches._Batch):
        __slots__ = ()

        def __init__(self, *args):
            super().__init__(*args)
            alive.add(id(self))
            most.append(len(alive))

        def __del__(self):
            alive.discard(id(self))

    monkeypatch.setattr(batches, "_Batch", Batch)

    async def steps():
        made = [Account(owner=f"{n}", balance=n) for n in range(640)]
        await Account.objects.abulk_create(made[:320], batch_size=16)
        await Account.objects.abulk_create(made[320:], batch_size=160)
        return await Account.objects.acount()

    assert run(steps) == 640
    # The last two have more bytes each than a message.
    assert sum(number for number, _ in messages) == 20
    assert all(2 < number < 8 for number, _ in messages)
    assert max(most) < 10


# Who watches


@contextmanager
def logging(alias):
    connection = async_connections[alias]
    connection.force_debug_cursor = True
    try:
        yield connection.queries_log
    finally:
        connection.force_debug_cursor = False


def test_what_watches_statements_sees_each(scratch, messages, run):
    """One after the other, as they are made."""

    async def steps():
        async with async_connection():
            with logging("default") as log:
                created = await Account.objects.abulk_create(numbered(5), batch_size=2)
                await Account.objects.abulk_update(created, ["balance"], batch_size=2)
                return [query["sql"].split()[0] for query in log]

    inserts, updates = ["INSERT"] * 3, ["UPDATE"] * 3
    assert run(steps) == ["BEGIN", *inserts, "COMMIT", "BEGIN", *updates, "COMMIT"]
    assert messages == []


def test_an_execute_wrapper(scratch, messages, run):
    """It sees a batch when all before it are executed."""
    seen = []

    def wrapper(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        seen.append((sql.split()[0], context["cursor"].rowcount))
        return result

    async def steps():
        async with async_connection():
            with connections["default"].execute_wrapper(wrapper):
                await Account.objects.abulk_create(numbered(5), batch_size=2)

    run(steps)
    assert seen == [("INSERT", 2), ("INSERT", 2), ("INSERT", 1)]
    assert messages == []


def test_in_a_pipeline(scratch, run):
    """Batches and the statements of other tasks of the block wait for each other."""

    async def steps():
        async with async_atomic():
            created = await Account.objects.abulk_create(numbered(5), batch_size=2)
            for each in created:
                each.balance = 7
            async with async_pipeline():
                return await asyncio.gather(
                    Account.objects.filter(balance=7).acount(),
                    Account.objects.abulk_create(owners(*"abcde"), batch_size=2),
                    Account.objects.abulk_update(created, ["balance"], batch_size=2),
                    Account.objects.filter(balance=8).acount(),
                ), await Account.objects.filter(balance=7).acount()

    (before, more, rows, none), after = run(steps)
    assert [before, rows, none, after] == [0, 5, 0, 5]
    assert {each.pk for each in more} == {6, 7, 8, 9, 10}


# A connection that is closed


@pytest.mark.parametrize("size", [2, 5], ids=["several batches", "one batch"])
@pytest.mark.parametrize("method", ["bulk_create", "bulk_update"])
def test_a_transaction_whose_connection_was_closed_before(method, size, compare):
    """As psycopg does where it cannot cancel a statement. The exception is none of psycopg's."""

    async def steps(orm, objs):
        objs += owners(*"abcde") if method == "bulk_create" else changed()
        fields = (["balance"],) if method == "bulk_update" else ()
        async with orm.atomic():
            await orm.call(Account.objects, "count")
            await orm.run(lambda: connection.connection.pgconn.finish())
            await orm.call(Account.objects, method, objs, *fields, batch_size=size)

    try:
        raised, text, *_ = compare(steps)[2][0][2]
    finally:
        connection.close()
    assert (raised, text) == ((type, OperationalError), (str, "the connection is closed"))
