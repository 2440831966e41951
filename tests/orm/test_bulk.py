"""Bulk inserts and updates by native arrays: every type of value, against Django's own way."""

import datetime
import uuid
import zoneinfo
from contextlib import contextmanager
from datetime import UTC, timedelta
from decimal import Decimal
from unittest import mock

import pytest
from django.db import IntegrityError, connections
from django.db.models import F, Value
from django.db.models.functions import Lower
from django.utils.safestring import mark_safe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.library.bulk import Letter, Parcel, Stamp
from tests.library.fields import Suit
from tests.library.models import Account, Article, Captain, Entry, Player, Seat, Team
from tests.support.givens import accounts, accounts_with_entries, new_accounts, teams
from turbo_orm import AsyncQuerySet
from turbo_orm.backend import compiler
from turbo_orm.orm import bulk_update

MOMENT = datetime.datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC)
ODD_ZONE = datetime.timezone(timedelta(hours=-5, minutes=-31, seconds=-7))
TEXTS = [
    "",
    " ",
    "NULL",
    "null",
    ",",
    '"',
    "\\",
    '\\"',
    "{}",
    "'",
    "%s",
    "%",
    "ü€𝄞",
    "\n\t",
    "a b",
]

VALUES = {
    "small": [0, -(2**15), 2**15 - 1, True],
    "integer": [0, -(2**31), 2**31 - 1, "7"],
    "big": [0, -(2**63), 2**63 - 1],
    "positive": [0, 2**31 - 1],
    "real": [0.0, 1.5, -1e300, 5e-324, 7, -(2**53), float("inf"), -float("inf"), 1e16, "2"],
    "negative zero": [-0.0, 1.0],
    "flag": [True, False, 1],
    "text": [*TEXTS, "long " * 1000],
    "char": TEXTS,
    "texts of other kinds": [mark_safe("safe"), Suit.CLUBS, 7],
    "amount": [
        Decimal("0"),
        Decimal("-1.10"),
        Decimal("1E+3"),
        Decimal("1E-10"),
        Decimal("12345678901234567890.0123456789"),
        Decimal("0.00000000005"),
        7,
        1.25,
    ],
    "date": [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), MOMENT.date(), "2024-02-29"],
    "time": [datetime.time(), datetime.time(23, 59, 59, 999999), datetime.time(1, 2, 3)],
    "moment": [
        MOMENT,
        MOMENT.replace(microsecond=0),
        MOMENT.replace(year=996),
        MOMENT.astimezone(ODD_ZONE),
        MOMENT.astimezone(zoneinfo.ZoneInfo("Asia/Kathmandu")),
        datetime.datetime(1900, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Amsterdam")),
    ],
    "span": [timedelta(), timedelta(days=-1, microseconds=1), timedelta(days=400, seconds=3)],
    "key": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.UUID(int=7), str(uuid.UUID(int=8))],
    "data": [
        {},
        [],
        "",
        {"a": [1, -2.5, None, True, False, 'ü€𝄞\x7f\n"\\\b\f\r\t/'], "NULL": {"": ()}},
        1e300,
    ],
    "data of other kinds": [10**30, {1: 2}, [[]] * 3],
    "address": ["10.0.0.1", "::1"],
    "upload": ["", "a.txt"],
}

FIELDS = {
    "negative zero": "real",
    "texts of other kinds": "char",
    "data of other kinds": "data",
}

# What is left to Django's own conversion, value by value.
OTHERS = {
    "address",
    "amount",
    "data of other kinds",
    "date",
    "flag",
    "integer",
    "key",
    "real",
    "small",
    "texts of other kinds",
    "upload",
}

REFUSED = [
    ("small", 2**15),
    ("small", "x"),
    ("integer", 2**31),
    ("big", 2**63),
    ("big", 10**40),
    ("text", "a\0b"),
    ("text", "\ud800"),
    ("char", "x" * 51),
    ("amount", Decimal("1E+30")),
    ("amount", "many"),
    ("flag", "maybe"),
    ("date", "2024-02-30"),
    ("data", {"a": "\0"}),
    ("data", {"a": float("nan")}),
    ("key", "no key"),
    ("moment", "yesterday"),
]


def parcels(case):
    name = FIELDS.get(case, case)
    return [Parcel(**{name: value}) for value in [None, *VALUES[case], None]]


@contextmanager
def noting(owner, name):
    """Note, call by call, whether a function has an answer."""
    original, noted = getattr(owner, name), []

    def noting(*args):
        answer = original(*args)
        noted.append(answer is not None)
        return answer

    with mock.patch.object(owner, name, noting):
        yield noted


# Inserts


@pytest.mark.parametrize("case", VALUES)
def test_values_are_inserted_as_by_django(case, play):
    async def steps(orm):
        return await orm.call(Parcel.objects, "bulk_create", parcels(case))

    with noting(compiler, "array_literal") as native:
        play(steps)
    assert (not all(native)) == (case in OTHERS - {"address", "upload"})


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_is_refused_is_refused_as_by_django(name, value, play):
    async def steps(orm):
        objs = [Parcel(), Parcel(**{name: value}), Parcel()]
        try:
            await orm.call(Parcel.objects, "bulk_create", objs)
        except Exception as exc:
            return type(exc), type(exc.__cause__), str(exc), objs
        raise AssertionError("It was not refused.")

    play(steps)


def test_all_types_at_once(play):
    """The columns that are native, and those that are not, in one statement."""

    async def steps(orm):
        objs = [
            Parcel(**{FIELDS.get(case, case): values[n % len(values)]})
            for case, values in VALUES.items()
            for n in range(3)
        ]
        return await orm.call(Parcel.objects, "bulk_create", objs, batch_size=7)

    play(steps)


NATIVE = {
    "a key of the database's": lambda: [Parcel(text="a"), Parcel(text="b")],
    "keys of one's own": lambda: [Parcel(pk=7, text="a"), Parcel(pk=8, text="b")],
    "some of each": lambda: [Parcel(pk=700), Parcel(), Parcel(pk=701), Parcel()],
    "related objects": lambda: [
        Entry(account=Account(pk=1), amount=1),
        Entry(account_id=2, amount=2),
    ],
    "a composite key": lambda: [Seat(row=1, number=n) for n in range(3)],
    "values of the database": lambda: [Stamp(), Stamp()],
    "of another database default": lambda: [Stamp(price=1), Stamp(price=2)],
    "a model that overrides save()": lambda: [Article(title="a", position=n) for n in range(2)],
}

OWN = {
    "one": lambda: [Parcel(text="a")],
    "none": list,
    "expressions": lambda: [Parcel(text=Lower(Value("A"))), Parcel(text="b")],
    "a field without array": lambda: [Letter(text="a", id=uuid.UUID(int=n)) for n in range(2)],
    "some values of the database": lambda: [Stamp(price=1), Stamp()],
    "instances of two models": lambda: [Parcel(), Account()],
}


@pytest.mark.parametrize("case", NATIVE | OWN)
def test_what_is_native(case, play):
    objs = (NATIVE | OWN)[case]

    async def steps(orm):
        found = objs()
        model = type(found[0]) if found else Parcel
        try:
            return await orm.call(model.objects, "bulk_create", found)
        except AttributeError as exc:
            return str(exc)

    with (
        noting(compiler.InsertCompiler, "_column_parameters") as native,
        mock.patch("django.utils.timezone.now", return_value=MOMENT),
    ):
        play(steps, given=accounts)
    assert any(native) == (case in NATIVE)


@settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=list(HealthCheck),
)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "text": st.none() | st.text(),
                "real": st.none() | st.floats(allow_nan=False),
                "big": st.none() | st.integers(-(2**63), 2**63 - 1),
                "data": st.none() | st.recursive(st.text() | st.integers(0, 9), st.lists),
                "moment": st.none() | st.datetimes(timezones=st.timezones()),
                "span": st.none() | st.timedeltas(timedelta(-(10**6)), timedelta(10**6)),
            }
        ),
        min_size=2,
        max_size=5,
    )
)
def test_random_values(rows, play):
    async def steps(orm):
        try:
            await orm.call(Parcel.objects, "bulk_create", [Parcel(**row) for row in rows])
        except Exception as exc:
            return type(exc)

    play(steps)


@pytest.mark.parametrize("binding", [False, True])
def test_either_way_of_binding(binding, scratch, run):
    texts = [*TEXTS, None]

    async def steps():
        created = await Parcel.objects.abulk_create(Parcel(text=t, data=[t]) for t in texts)
        for parcel in created:
            parcel.char, parcel.integer = parcel.text, parcel.pk
        assert await Parcel.objects.abulk_update(created, ["char", "integer"]) == len(texts)
        return await Parcel.objects.order_by("pk").alist()

    options = connections["default"].settings_dict["OPTIONS"]
    with mock.patch.dict(options, {"server_side_binding": binding}):
        found = run(steps)
    assert [(p.text, p.char, p.data, p.integer) for p in found] == [
        (text, text, [text], pk) for pk, text in enumerate(texts, 1)
    ]


# Updates


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize("case", VALUES)
def test_values_are_updated_as_by_django(case, batch_size, play):
    name = FIELDS.get(case, case)

    async def steps(orm):
        objs = parcels(case)
        await orm.call(Parcel.objects, "bulk_create", [Parcel() for _ in objs])
        for pk, obj in enumerate(objs, 1):
            obj.pk = pk
        fields = [name, "flag" if name == "positive" else "positive"]
        return await orm.call(Parcel.objects, "bulk_update", objs, fields, batch_size=batch_size)

    with noting(bulk_update, "_arrays") as native:
        play(steps)
    assert (bool(native) and all(native)) == (case not in OTHERS | {"negative zero"})


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_is_refused_in_an_update_is_refused_as_by_django(name, value, play):
    async def steps(orm):
        objs = await orm.call(Parcel.objects, "bulk_create", [Parcel() for _ in range(3)])
        setattr(objs[1], name, value)
        try:
            return await orm.call(Parcel.objects, "bulk_update", objs, [name])
        except Exception as exc:
            return type(exc), type(exc.__cause__), str(exc), objs

    play(steps)


class Counting(AsyncQuerySet):
    def update(self, **kwargs):
        return super().update(**kwargs) + 100


def an_account(**values):
    return [Account(pk=pk, **{"owner": f"n{pk}", "balance": pk, **values}) for pk in (1, 2, 50)]


NATIVE_UPDATES = {
    "all": lambda: (Account.objects, an_account(), ["owner", "balance"]),
    "some": lambda: (Account.objects.filter(balance__gte=10), an_account(), ["balance"]),
    "excluded": lambda: (Account.objects.exclude(owner="Bo"), an_account(), ["balance"]),
    "in a subquery": lambda: (
        Account.objects.filter(pk__in=Entry.objects.values("account")),
        an_account(),
        ["balance"],
    ),
    "of others": lambda: (
        Account(pk=1).entries,
        [Entry(pk=n, amount=9) for n in (1, 2)],
        ["amount"],
    ),
    "a relation": lambda: (
        Entry.objects,
        [Entry(pk=n, account=Account(pk=2)) for n in (1, 2)],
        ["account"],
    ),
    "in an order": lambda: (Account.objects.order_by("-entries"), an_account(), ["balance"]),
    "by an annotation": lambda: (
        Account.objects.annotate(low=Lower("owner")).filter(low="ada"),
        an_account(),
        ["balance"],
    ),
}

OWN_UPDATES = {
    "expressions": lambda: (Account.objects, an_account(balance=F("balance") + 1), ["balance"]),
    "an object twice": lambda: (
        Account.objects,
        an_account(balance=8) + an_account(balance=9),
        ["balance"],
    ),
    "a field twice": lambda: (Account.objects, an_account(), ["balance", "balance"]),
    "none()": lambda: (Account.objects.none(), an_account(), ["balance"]),
    "through a join": lambda: (
        Account.objects.filter(entries__amount=1),
        an_account(),
        ["balance"],
    ),
    "a slice": lambda: (Account.objects.order_by("pk")[:2], an_account(), ["balance"]),
    "distinct": lambda: (Account.objects.distinct(), an_account(), ["balance"]),
    "an update() of its own": lambda: (Counting(Account), an_account(), ["balance"]),
    "a composite key": lambda: (Seat.objects, [Seat(row=1, number=1, taken=True)], ["taken"]),
    "a child": lambda: (
        Captain.objects,
        [Captain(pk=5, armband="a", rank=3)],
        ["rank", "armband"],
    ),
    "a deferred field": lambda: (Account.objects, [Account(pk=1)], []),
    "an unsaved relation": lambda: (
        Entry.objects,
        [Entry(pk=1, account=Account(owner="new"))],
        ["account"],
    ),
    "objects of another model": lambda: (Account.objects, [Team(pk=1, city="x")], ["balance"]),
    "no column": lambda: (Player.objects, [Player(pk=1)], ["skills"]),
}


@pytest.mark.parametrize("case", NATIVE_UPDATES | OWN_UPDATES)
def test_which_updates_are_native(case, play):
    async def steps(orm):
        queryset, objs, fields = (NATIVE_UPDATES | OWN_UPDATES)[case]()
        try:
            return await orm.call(queryset, "bulk_update", objs, fields), objs
        except Exception as exc:
            return type(exc), str(exc), objs

    def given_all():
        accounts_with_entries()
        teams()
        Seat.objects.create(row=1, number=1)

    with noting(bulk_update, "_arrays") as native:
        play(steps, given=given_all)
    assert any(native) == (case in NATIVE_UPDATES)


def test_an_update_that_fails_is_undone(play):
    async def steps(orm):
        objs = [Account(pk=pk, owner=owner) for pk, owner in [(1, "x"), (2, "y"), (3, "Di")]]
        async with orm.atomic():
            await orm.call(Account.objects, "bulk_update", objs, ["owner"], batch_size=1)

    assert "raised" in play(steps, given=accounts, raises=IntegrityError)


def test_bulk_methods_in_a_transaction(play):
    async def steps(orm):
        async with orm.atomic():
            objs = await orm.call(Account.objects, "bulk_create", new_accounts("x", "y"))
            objs[0].balance = 70
            await orm.call(Account.objects, "bulk_update", objs, ["balance"])
            raise LookupError("changed my mind")

    play(steps, given=accounts, raises=LookupError)


@pytest.mark.usefixtures("scratch")
def test_the_queryset_of_a_bulk_insert_is_as_it_was(run):
    """The database is asked for once, and the queryset is bound to none."""

    async def steps():
        queryset = Account.objects.all()
        await queryset.abulk_create([Account(owner=f"{number}") for number in range(3)])
        with pytest.raises(IntegrityError):
            await queryset.abulk_create([Account(owner="1"), Account(owner="2")])
        return queryset._db, queryset._for_write, await queryset.acount()

    assert run(steps) == (None, True, 3)
