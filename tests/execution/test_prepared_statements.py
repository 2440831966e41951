"""Prepared statements: which ones are, and that each is executed as its literals would be."""

import datetime
from decimal import Decimal

import psycopg
import pytest
from django.db import DataError, IntegrityError, NotSupportedError, connection
from django.db.models import BooleanField, F, Func, Value
from django.test.utils import override_settings

from tests.library.models import Account, Author, Book, Sample
from tests.support.counting import python_calls
from tests.support.statements import ask
from turbo_orm import async_atomic, async_connection, bridge, explain_cache
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.conf import VERIFIES
from turbo_orm.driver import prepared

pytestmark = pytest.mark.usefixtures("scratch")

NAMES = "SELECT name, statement FROM pg_prepared_statements WHERE name LIKE 'turbo_orm_%%'"


async def names():
    return [statement for _, statement in await ask(NAMES)]


async def often(function, times=prepared.THRESHOLD + 2):
    """Await the results of a coroutine function, one after the other. They have to be equal."""
    first = await function()
    for _ in range(times):
        assert await function() == first
    return first


def own():
    """Return what the task's connection has prepared."""
    return async_connections["default"].connection.prepared


async def get_owner(owner="first"):
    account = await Account.objects.aget(owner=owner)
    return account.owner, account.balance


async def get_by_number():
    account = await Account.objects.aget(balance=1)
    return account.owner, account.balance


@pytest.fixture
def accounts(scratch):
    Account.objects.bulk_create(
        [Account(owner="first", balance=1), Account(owner="öäü", balance=2)]
    )


@pytest.fixture
def connected(run):
    """Return a function that runs a coroutine function in a task that has a connection."""

    def run_connected(function):
        async def steps():
            await ask("SELECT 1")
            return await function()

        return run(steps)

    return run_connected


def test_what_is_executed_often_is_prepared(accounts, connected):
    async def steps():
        found = []
        for _ in range(prepared.THRESHOLD + 10):
            assert await get_owner() == ("first", 1)
            found.append(len(await names()))
        # Some calls make the chain and its statement known, where no test has before.
        assert prepared.THRESHOLD <= found.index(1) + 1 <= prepared.THRESHOLD + 4
        assert found == sorted(found)
        (statement,) = await names()
        assert statement.endswith('WHERE "library_account"."owner" = $1 LIMIT 21')
        # Another value, and a text that is not ASCII.
        assert await get_owner("öäü") == ("öäü", 2)
        assert await names() == [statement]

    connected(steps)


@pytest.mark.skipif(VERIFIES, reason="Each statement is compiled twice")
def test_python_calls_of_an_aget(accounts, connected):
    """Those of the event loop included."""

    async def steps():
        await often(get_owner)
        with python_calls() as calls:
            for _ in range(20):
                await Account.objects.aget(owner="first")
        return calls

    calls = connected(steps)
    if psycopg.pq.__impl__ != "python":
        assert len([each for each in calls if "tests" not in each.file]) // 20 <= 40


def test_all_kinds_of_statements(accounts, connected):
    async def create():
        account = await Account.objects.acreate(owner="new", balance=7)
        await account.adelete()
        return account.owner

    async def update():
        return await Account.objects.filter(owner="first").aupdate(balance=F("balance") + 1)

    async def delete():
        return await Account.objects.filter(owner="none").adelete()

    async def page():
        chosen = Account.objects.filter(balance__gte=0, owner__in=["first", "öäü"])
        return [each.owner async for each in chosen.order_by("pk")[:2]]

    async def count():
        return await Account.objects.filter(balance=-1).acount()

    async def steps():
        for function in [create, update, delete, page, count]:
            before = len(own())
            await often(function)
            assert len(own()) > before, function

    connected(steps)


def test_lists_of_each_length_are_prepared(library, connected):
    async def found(keys):
        return [each.pk async for each in Author.objects.filter(pk__in=keys).order_by("pk")]

    async def steps():
        keys = sorted(Author.objects.values_list("pk", flat=True)[:4])
        return keys

    keys = sorted(Author.objects.values_list("pk", flat=True)[:4])

    async def play():
        for length in (1, 2, 3, 4):
            assert await often(lambda length=length: found(keys[:length])) == keys[:length]
        assert len(own()) >= 3

    connected(play)


def test_none_in_a_transaction_but_at_its_end(accounts, connected):
    async def steps():
        async with async_atomic():
            await often(get_owner)
            assert await names() == []
        assert len(await names()) == 1
        async with async_atomic():
            # BEGIN comes with it.
            assert await get_owner() == ("first", 1)
            assert await get_owner("öäü") == ("öäü", 2)

    connected(steps)


def test_a_transaction_that_begins_with_one_is_as_without(accounts, connected):
    async def fail():
        async with async_atomic():
            await get_owner()
            await Account.objects.filter(owner="first").aupdate(balance=99)
            raise ZeroDivisionError

    async def steps():
        await often(get_owner)
        with pytest.raises(ZeroDivisionError):
            await fail()
        assert await get_owner() == ("first", 1)

    connected(steps)


CHANGES = {
    "dropped": ["ALTER TABLE library_account DROP COLUMN balance"],
    "added": ["ALTER TABLE library_account ADD COLUMN more integer DEFAULT 5"],
    "another type": ["ALTER TABLE library_account ALTER balance TYPE bigint"],
    "a type that is loaded otherwise": [
        "ALTER TABLE library_account ALTER balance DROP DEFAULT",
        "ALTER TABLE library_account ALTER balance TYPE text",
    ],
    "another type of the parameter": ["ALTER TABLE library_account ALTER owner TYPE text"],
    "renamed twice": [
        "ALTER TABLE library_account RENAME balance TO other",
        "ALTER TABLE library_account RENAME other TO balance",
    ],
}
BACK = [
    "ALTER TABLE library_account ADD COLUMN IF NOT EXISTS balance integer NOT NULL DEFAULT 1",
    "ALTER TABLE library_account DROP COLUMN IF EXISTS more",
    "ALTER TABLE library_account ALTER balance TYPE integer USING balance::text::integer",
    "ALTER TABLE library_account ALTER balance DROP DEFAULT",
    "ALTER TABLE library_account ALTER owner TYPE varchar(50)",
]


@pytest.fixture
def change(accounts):
    """Return a function that changes the table. It is as before at the end."""

    async def change(statements):
        for statement in statements:
            await ask(statement)

    yield change
    with connection.cursor() as cursor:
        for statement in BACK:
            cursor.execute(statement)


async def answer(get):
    try:
        return await get()
    except Exception as exc:
        return type(exc), str(exc)


async def with_literals(get):
    with override_settings(TURBO_ORM={"PREPARE": False}):
        return await answer(get)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("get", [get_owner, get_by_number])
def test_a_table_that_is_changed_under_a_server(get, name, change, connected):
    async def steps():
        await often(get)
        assert len(own()) == 1
        await change(CHANGES[name])
        expected = await with_literals(get)
        for _ in range(prepared.THRESHOLD + 2):
            assert await answer(get) == expected

    connected(steps)


def test_a_table_that_is_changed_before_a_transaction(change, connected):
    async def second():
        async with async_atomic():
            await ask("SELECT 1")
            return await get_owner()

    async def steps():
        await often(get_owner)
        await change(CHANGES["another type"])
        async with async_atomic():
            # The first one may be sent once more, with literals.
            assert await get_owner() == ("first", 1)
        await often(get_owner)
        assert len(own()) == 1
        await change(["ALTER TABLE library_account ALTER balance TYPE integer"])
        with pytest.raises(NotSupportedError, match="cached plan"):
            await second()
        assert await second() == ("first", 1)

    connected(steps)


@pytest.mark.parametrize("command", ["DISCARD ALL", "DEALLOCATE ALL", "deallocate all"])
@pytest.mark.parametrize("way", ["cursor", "async_connection", "in a transaction"])
def test_a_session_that_is_reset(command, way, accounts, connected):
    if way == "in a transaction" and command == "DISCARD ALL":
        pytest.skip("PostgreSQL refuses it")

    def execute():
        with connection.cursor() as cursor:
            cursor.execute(command)

    async def steps():
        await often(get_owner)
        if way == "cursor":
            await bridge.run(execute)
        elif way == "async_connection":
            async with async_connection() as own_connection:
                await own_connection.connection.execute(command)
        else:
            async with async_atomic():
                await bridge.run(execute)
                assert await get_owner() == ("first", 1)
        await often(get_owner)
        assert len(await names()) == 1

    connected(steps)


def test_values_that_the_server_refuses_raise_what_literals_raise(accounts, connected):
    bad = [
        lambda: Sample.objects.acreate(small=10**6),
        lambda: Sample.objects.acreate(char="x" * 60),
        lambda: Sample.objects.acreate(amount=Decimal(10) ** 25),
    ]
    good = lambda: Sample.objects.acreate(small=1, char="x", amount=Decimal(1))  # noqa: E731

    async def steps():
        for _ in range(prepared.THRESHOLD + 2):
            await (await good()).adelete()
        for each in bad:
            assert await answer(each) == await with_literals(each)

    connected(steps)


def test_a_refused_value_in_a_transaction_leaves_the_statement_prepared(accounts, connected):
    async def fail():
        async with async_atomic():
            await ask("SELECT 1")
            await Account.objects.acreate(owner="x" * 60, balance=1)

    async def create():
        account = await Account.objects.acreate(owner="new", balance=7)
        await account.adelete()

    async def steps():
        await often(create)
        before = await names()
        for _ in range(3):
            with pytest.raises(DataError, match="too long"):
                await fail()
        await create()
        assert await names() == before

    connected(steps)


def test_what_has_become_stale_in_a_transaction_is_deallocated(change, connected):
    async def fail():
        async with async_atomic():
            await ask("SELECT 1")
            await get_owner()

    async def steps():
        await often(get_owner)
        before = await names()
        await change(CHANGES["another type"])
        with pytest.raises(NotSupportedError):
            await fail()
        await often(get_owner)
        assert len(await names()) == len(before) == 1
        assert len(own()) == 1

    connected(steps)


def test_a_constraint_is_tried_once(accounts, connected):
    async def steps():
        first = await Account.objects.aget(owner="first")
        for number in range(prepared.THRESHOLD + 2):
            await Account.objects.acreate(pk=10_000 + number, owner=str(number), balance=0)
        sequence = "SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        assert await ask(sequence) == [("1",)]
        with pytest.raises(IntegrityError, match=f"\\(id\\)=\\({first.pk}\\)"):
            await Account.objects.acreate(pk=first.pk, owner="again", balance=0)

    connected(steps)


def test_what_cannot_be_prepared_stays_with_literals(accounts, connected):
    text = "SELECT * FROM library_account WHERE now() > now() - INTERVAL %s ORDER BY id"

    async def raw():
        return [each.owner async for each in Account.objects.raw(text, ["1 day"])]

    async def grouped():
        rows = Account.objects.values(more=F("balance") + 1).order_by("more")
        return [row async for row in rows]

    async def steps():
        assert await often(raw) == ["first", "öäü"]
        assert await names() == []
        assert await often(grouped) == [{"more": 2}, {"more": 3}]

    connected(steps)


def test_the_explanation_says_why_there_are_literals(accounts, connected):
    template = "(now() > now() - INTERVAL %(expressions)s)"
    later = Func(Value("1 day"), template=template, output_field=BooleanField())

    async def steps():
        chosen = Account.objects.filter(later)
        await often(chosen.acount)
        assert await names() == []
        found = explain_cache(chosen, "acount")
        assert found.literals.startswith("it cannot be prepared: ERROR:  syntax error")
        assert "  always with literals, since it cannot be prepared" in str(found)
        await often(Account.objects.acount)
        assert explain_cache(Account.objects.all(), "acount").literals == ""

    connected(steps)


def test_numbers_have_the_types_of_literals(library, connected):
    async def counted(number):
        return await Book.objects.filter(pages__gt=number).acount()

    async def steps():
        for number in (1, 2**31 - 1):
            await often(lambda number=number: counted(number))
        assert len(own()) == 1

    connected(steps)


def test_every_type_of_a_value(scratch, connected):
    values = {
        "small": -5,
        "integer": 2**31 - 1,
        "big": -(2**63),
        "real": 1e-300,
        "flag": True,
        "text": "it's \\ 100 % ö\n",
        "char": "''",
        "amount": Decimal("-1.50"),
        "date": datetime.date(7, 1, 2),
        "time": datetime.time(1, 2, 3, 4),
        "moment": datetime.datetime(2024, 2, 29, 23, 59, tzinfo=datetime.UTC),
        "span": datetime.timedelta(days=-1, microseconds=1),
        "data": {"a": [1, None, "ö'\\"]},
        "blob": b"\x00\xff'\\",
        "address": "10.0.0.1",
    }

    async def saved(**fields):
        await Sample.objects.filter(pk=key).aupdate(**fields)
        found = await Sample.objects.only(*fields).aget(pk=key)
        return {name: getattr(found, name) for name in fields}

    async def steps():
        for name, value in values.items():
            expected = await often(lambda name=name, value=value: saved(**{name: value}), 12)
            assert expected == {name: value}
            assert await saved(**{name: None}) == {name: None}
        statements = [each for each in await names() if each.startswith("UPDATE")]
        assert len(statements) == len(values)

    key = Sample.objects.create().pk
    try:
        connected(steps)
    finally:
        Sample.objects.filter(pk=key).delete()


def test_as_many_as_are_used_last(accounts, connected, monkeypatch):
    monkeypatch.setattr(prepared, "MAX_PREPARED", 2)

    async def steps():
        for field in ("owner", "balance", "pk"):
            value = {"owner": "first", "balance": 1, "pk": -1}[field]
            await often(lambda f=field, v=value: Account.objects.filter(**{f: v}).acount())
            await often(lambda: Account.objects.filter(owner="first").acount())
        assert len(own()) == 2
        statements = await names()
        assert len(statements) == 2
        assert any('"owner" = $1' in each for each in statements)

    connected(steps)


def test_it_can_be_switched_off(accounts, connected):
    async def steps():
        with override_settings(TURBO_ORM={"PREPARE": False}):
            await often(get_owner)
            assert await names() == []

    connected(steps)


def test_a_server_that_binds_is_psycopgs(accounts, connected):
    """What psycopg prepares has names of its own, and is dropped on its own."""

    async def steps():
        await often(get_owner)
        async with async_connection() as own_connection:
            await own_connection.connection.execute("SELECT 1", prepare=True)
            await own_connection.connection.execute("DEALLOCATE ALL")
        assert await get_owner() == ("first", 1)

    connected(steps)
