"""Writes by statements that were learnt: from the second time on, and Django's all the same."""

import datetime
import uuid
import zoneinfo
from contextlib import suppress

import pytest
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Upper
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.test.utils import override_settings

from tests.library.models import (
    Account,
    Article,
    Captain,
    Entry,
    Event,
    Player,
    Seat,
    Team,
    Ticket,
)
from tests.library.options import Ledger
from tests.support.givens import accounts, accounts_with_entries, receivers, teams
from tests.support.routers import Router, routed
from turbo_orm import async_atomic
from turbo_orm.query_cache import save_statements
from turbo_orm.query_cache.cache import cache

ADA, BO, CY = "Ada", "Bo", "Cy"


def twice_each(steps, *values):
    """Return steps that are taken with each value, and say what came of each."""

    async def all_steps(orm):
        outcomes = []
        for value in values:
            try:
                outcomes.append(await steps(orm, value))
            except Exception as exc:
                outcomes.append((type(exc), str(exc).split("\n")[0]))
        return outcomes

    return all_steps


def play_routed(play, act, *values, given):
    """Play steps with each value. Routers have to be asked as often as by Django."""

    async def routed_act(orm, value):
        with routed(router := Router()):
            try:
                return await act(orm, value)
            finally:
                asked[-1].append(router.asked)

    asked = []

    async def steps(orm):
        asked.append([])
        return await twice_each(routed_act, *values)(orm)

    play(steps, given=given)
    assert asked[0] == asked[1]


UPDATES = {
    "a value": ("balance", [1, 2, "3", "x", None, 2**40, True, 1.0]),
    "a text": ("owner", ["x", "y", "\0", None, "x" * 51, 7, Upper(Value("up"))]),
    "an expression": ("balance", [F("balance") + 1, F("balance") + 2, F("nothing")]),
}


@pytest.mark.parametrize("case", UPDATES)
def test_update(case, play):
    name, values = UPDATES[case]

    async def update(orm, value):
        return await orm.call(Account.objects.filter(owner=ADA), "update", **{name: value})

    play(twice_each(update, *values, *values[:2]), given=accounts)


def test_update_by_what_is_written(play):
    """The values of the filter and those that are written are told apart."""

    async def update(orm, value):
        old, new = value
        return await orm.call(Account.objects.filter(balance=old), "update", balance=new)

    play(twice_each(update, (0, 1), (1, 2), (2, 2), (10, 2**40), (2, 5)), given=accounts)


def test_update_of_a_relation(play):
    async def update(orm, team):
        return await orm.call(Player.objects.filter(team__name="red"), "update", team=team)

    def values():
        yield from [None, Team(pk=1), Team(pk=2), Team(), Player(pk=1), 1, "2", "x"]

    play(twice_each(update, *values()), given=teams)


def test_update_of_what_cannot_be(play):
    async def update(orm, queryset):
        return await orm.call(queryset, "update", balance=1)

    everything = Account.objects.all()
    refused = [everything[:1], everything.values("owner"), everything.distinct("owner")]
    play(twice_each(update, *refused, *refused, everything.none()), given=accounts)


def test_delete(play):
    async def delete(orm, owner):
        return await orm.call(Entry.objects.filter(account__owner=owner), "delete")

    play(twice_each(delete, ADA, BO, BO, CY, "nobody"), given=accounts_with_entries)


def test_delete_with_cascades(play):
    async def delete(orm, owner):
        return await orm.call(Account.objects.filter(owner=owner), "delete")

    play(twice_each(delete, ADA, BO, BO, CY), given=accounts_with_entries)


def test_delete_of_what_cannot_be(play):
    async def delete(orm, queryset):
        return await orm.call(queryset, "delete")

    entries = Entry.objects.all()
    refused = [entries[:1], entries.values("amount"), entries.distinct("amount"), entries.none()]
    play(twice_each(delete, *refused, *refused), given=accounts_with_entries)


@pytest.mark.parametrize("signals", [(pre_delete,), (post_delete,)])
def test_receivers_of_deletions_that_come_later(signals, play):
    async def steps(orm):
        for owner in (ADA, BO):
            await orm.call(Entry.objects.filter(account__owner=owner), "delete")
        with receivers(*signals) as told:
            await orm.call(Entry.objects.filter(account__owner=CY), "delete")
        return [str(each) for each in told]

    assert play(steps, given=accounts_with_entries)["returned"][-1]


CREATIONS = {
    "plain": lambda value: (Account, {"owner": f"new {value}", "balance": value}),
    "by key": lambda value: (Account, {"pk": 70 + value, "owner": f"new {value}"}),
    "with a relation": lambda value: (Entry, {"account": Account(pk=value), "amount": value}),
    "with what is not saved": lambda value: (Entry, {"account": Account(), "amount": value}),
    "with defaults": lambda value: (
        Event,
        {"name": value, "token": f"00000000-0000-0000-0000-00000000000{value}"},
    ),
    "given values by the database": lambda value: (Ticket, {"price": value}),
    "an overridden save()": lambda value: (Article, {"title": value}),
    "a composite key": lambda value: (Seat, {"row": value, "number": value}),
    "select_on_save": lambda value: (Ledger, {"name": value, "total": value}),
    "an expression": lambda value: (Account, {"owner": Upper(Value(f"x{value}"))}),
    "too large": lambda value: (Account, {"owner": value, "balance": 2 ** (30 + value)}),
    "no field": lambda value: (Account, {"nothing": value}),
    "what is no number": lambda value: (Account, {"owner": value, "balance": "x" * value}),
    "NULL": lambda value: (Account, {"owner": None if value > 1 else "one"}),
}


@pytest.mark.parametrize("case", CREATIONS)
def test_create(case, play):
    async def create(orm, value):
        model, kwargs = CREATIONS[case](value)
        return await orm.call(model.objects, "create", **kwargs)

    play_routed(play, create, 1, 2, 3, given=accounts)


_JULY = datetime.datetime(2026, 7, 1, 12)
_PREPARED = {
    "created": [
        _JULY.replace(tzinfo=datetime.UTC),
        _JULY.replace(tzinfo=zoneinfo.ZoneInfo("Asia/Kolkata")),
        _JULY.replace(tzinfo=datetime.UTC, fold=1),
        _JULY,
        _JULY.date(),
        "2026-07-01T12:00:00+02:00",
        "no moment",
        None,
        7,
    ],
    "is_public": [True, False, 1, 0, "t", "False", "maybe", None, 2, 1.0],
}


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize("field", _PREPARED)
@pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning")
def test_values_that_are_prepared(field, use_tz, play):
    async def create(orm, numbered):
        number, value = numbered
        token = uuid.UUID(int=number)
        made = await orm.call(Event.objects, "create", token=token, **{field: value})
        rows = Event.objects.filter(token=token).values_list(field)
        return getattr(made, field), await orm.call(rows, "get")

    with override_settings(USE_TZ=use_tz):
        play(twice_each(create, *enumerate(_PREPARED[field])))


PARTS = {
    "one": lambda value: {"update_fields": ["balance"]},
    "in other collections": lambda value: {
        "update_fields": [("balance",), {"balance"}, frozenset(["balance"])][value - 1]
    },
    "in a generator": lambda value: {"update_fields": (name for name in ["balance"])},
    "twice": lambda value: {"update_fields": ["balance", "balance"]},
    "all": lambda value: {"update_fields": ["owner", "balance"]},
    "none": lambda value: {"update_fields": []},
    "no field": lambda value: {"update_fields": ["balance", "nothing"]},
    "no name": lambda value: {"update_fields": [7]},
    "the key": lambda value: {"update_fields": ["id"]},
    "a text": lambda value: {"update_fields": "balance"},
    "by force": lambda value: {"update_fields": ["balance"], "force_update": True},
    "elsewhere": lambda value: {"update_fields": ["balance"], "using": "other"},
}


@pytest.mark.parametrize("case", PARTS)
def test_save_of_some_fields(case, play):
    async def save(orm, value):
        account = await orm.call(Account.objects, "get", pk=value)
        account.owner, account.balance = f"new {value}", value
        await orm.call(account, "save", **PARTS[case](value))
        return account

    play_routed(play, save, 1, 2, 3, given=accounts)


SAVED_IN_PART = {
    "a relation by its name": lambda value: (Entry(pk=value, account_id=2), ["account"]),
    "a relation by its attribute": lambda value: (Entry(pk=value, account_id=2), ["account_id"]),
    "an unsaved relation": lambda value: (Entry(pk=value, account=Account()), ["account"]),
    "a row that is not there": lambda value: (Entry(pk=90 + value, account_id=2), ["account"]),
    "an expression": lambda value: (Entry(pk=value, amount=F("amount") + value), ["amount"]),
    "what is refused": lambda value: (Entry(pk=value, amount="x"), ["amount"]),
    "what the server refuses": lambda value: (Entry(pk=value, amount=2**40), ["amount"]),
    "no key": lambda value: (Entry(amount=1), ["amount"]),
    "NULL": lambda value: (Entry(pk=value, amount=None), ["amount"]),
}


@pytest.mark.parametrize("adding", [False, True])
@pytest.mark.parametrize("case", SAVED_IN_PART)
def test_save_of_some_fields_of_what_was_made(case, adding, play):
    async def save(orm, value):
        entry, names = SAVED_IN_PART[case](value)
        entry._state.adding = adding
        await orm.call(entry, "save", update_fields=names)
        return entry

    play(twice_each(save, 1, 2, 3), given=accounts_with_entries)


def test_save_of_a_field_that_was_not_loaded(play):
    async def save(orm, value):
        account = await orm.call(Account.objects.defer("balance"), "get", pk=value)
        account.owner = f"new {value}"
        await orm.call(account, "save", update_fields=["owner"])
        return account

    play(twice_each(save, 1, 2, 3), given=accounts)


@pytest.mark.usefixtures("scratch")
def test_saves_of_some_fields_are_few(run, monkeypatch):
    """Each set of fields is a statement, and they are bounded."""
    monkeypatch.setattr(save_statements, "MAX_KINDS", 2)
    cache.clear()

    async def steps():
        entry = await Entry.objects.acreate(account_id=1, amount=1)
        for names in (["amount"], ["account"], ["account", "amount"], ["amount"]):
            await entry.asave(update_fields=names)
            assert len(save_statements.save_statements(Entry, {})) <= 2

    accounts()
    run(steps)


DELETIONS = {
    "alone": lambda value: Entry(pk=value),
    "not there": lambda value: Entry(pk=90 + value),
    "without a key": lambda value: Entry(),
    "by a text": lambda value: Entry(pk=str(value)),
    "by what is no key": lambda value: Entry(pk="x" * value),
    "with cascades": lambda value: Account(pk=value),
    "with a composite key": lambda value: Seat(row=1, number=value),
    "with parents": lambda value: Captain(pk=5),
    "with generic relations": lambda value: Player(pk=value),
    "an overridden delete()": lambda value: Article(pk=value),
}


def everything():
    accounts_with_entries()
    teams()


@pytest.mark.parametrize("case", DELETIONS)
def test_delete_of_an_instance(case, play):
    async def delete(orm, value):
        instance = DELETIONS[case](value)
        return await orm.call(instance, "delete"), instance.pk, instance._state.db

    play_routed(play, delete, 1, 2, 3, 2, given=everything)


@pytest.mark.parametrize("signals", [(pre_delete,), (post_delete,)])
def test_receivers_of_deletions_of_instances_that_come_later(signals, play):
    async def steps(orm):
        for key in (1, 2):
            await orm.call(Entry(pk=key), "delete")
        with receivers(*signals) as told:
            await orm.call(Entry(pk=3), "delete")
        return [str(each) for each in told]

    assert play(steps, given=accounts_with_entries)["returned"][-1]


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("key", ["x", 2**70])
def test_a_deletion_that_fails_in_a_transaction(key, run):
    """It is broken then, as by Django's delete()."""

    async def steps():
        for wanted in (1, 2):
            await Entry(pk=wanted).adelete()
        async with async_atomic():
            with suppress(Exception):
                await Entry(pk=key).adelete()
            return connection.needs_rollback

    def django():
        with transaction.atomic():
            with suppress(Exception):
                Entry(pk=key).delete()
            try:
                return connection.needs_rollback
            finally:
                transaction.set_rollback(True)

    accounts_with_entries()
    expected = django()
    assert run(steps) is expected


@pytest.mark.parametrize("signals", [(pre_save,), (post_save,)])
def test_receivers_of_saves_that_come_later(signals, play):
    async def steps(orm):
        await orm.call(Account.objects, "create", owner=ADA)
        await orm.call(Account.objects, "create", owner=BO)
        with receivers(*signals) as told:
            await orm.call(Account.objects, "create", owner=CY)
        return [str(each) for each in told]

    assert play(steps)["returned"][-1]


OPERATIONS = {
    "get": lambda orm, hint: orm.call(Account.objects.filter(**hint), "get"),
    "count": lambda orm, hint: orm.call(Account.objects.filter(**hint), "count"),
    "list": lambda orm, hint: orm.list(Account.objects.filter(**hint)),
    "update": lambda orm, hint: orm.call(Account.objects.filter(**hint), "update", balance=1),
    "delete": lambda orm, hint: orm.call(Entry.objects.filter(account__owner=ADA), "delete"),
    "delete with cascades": lambda orm, hint: orm.call(Account.objects.filter(**hint), "delete"),
    "related": lambda orm, hint: orm.list(Account(pk=1).entries.filter(amount__gt=0)),
    "related count": lambda orm, hint: orm.call(Account(pk=1).entries, "count"),
    "related update": lambda orm, hint: orm.call(Account(pk=1).entries, "update", amount=1),
    "hints": lambda orm, hint: orm.list(Account.objects.db_manager(hints={"a": 1}).all()),
    "using": lambda orm, hint: orm.list(Account.objects.using("default").all()),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_routers_are_asked_as_often(operation, play):
    asked = []

    async def steps(orm):
        asked.append([])
        for owner in (ADA, BO, CY):
            with routed(router := Router()):
                try:
                    await OPERATIONS[operation](orm, {"owner": owner})
                except Exception as exc:
                    asked[-1].append(type(exc))
            asked[-1].append(router.asked)

    play(steps, given=accounts_with_entries)
    assert asked[0] == asked[1]


def test_dates(play):
    async def update(orm, moment):
        return await orm.call(Event.objects, "update", created=moment)

    moments = [datetime.datetime(2026, 1, day, tzinfo=datetime.UTC) for day in (1, 2)]
    strings = ["2026-01-01", "2026-01-02T03:04:05+06:00", "x"]

    def given():
        Event.objects.create(name="one", token="00000000-0000-0000-0000-000000000001")

    play(twice_each(update, *moments, *strings, moments[0].date()), given=given)
