"""``arefresh_from_db()``: what it fetches, sets and forgets, and what it raises, as by Django."""

import pytest
from django.db.models import QuerySet

from tests.library.models import Account, Captain, Entry, Player, Seat, Team
from tests.library.saving import Amphibian
from tests.support.givens import accounts_with_entries, teams
from turbo_orm import AsyncQuerySet, bridge


class Filtering(AsyncQuerySet):
    def filter(self, *args, **kwargs):
        return super().filter(*args, **kwargs).exclude(owner="Bo")


def given():
    accounts_with_entries()
    teams()
    for i in range(1, 4):
        Amphibian.objects.create(name=f"amphibian {i}", length=i)
        Seat.objects.create(row=i, number=i)


REFRESHED = {
    "all": (Account, {}),
    "a field": (Account, {"fields": ["balance"]}),
    "fields": (Account, {"fields": ("owner", "balance", "balance")}),
    "in a generator": (Account, {"fields": lambda: (name for name in ["balance"])}),
    "no field": (Account, {"fields": []}),
    "an unknown one": (Account, {"fields": ["nothing"]}),
    "of a relation": (Entry, {"fields": ["account__owner"]}),
    "no name": (Account, {"fields": [7]}),
    "a relation": (Entry, {"fields": ["account"]}),
    "a relation's key": (Entry, {"fields": ["account_id"]}),
    "all with a relation": (Entry, {}),
    "what is prefetched": (Account, {"fields": ["entries"]}),
    "some of what is prefetched": (Account, {"fields": ["entries", "owner"]}),
    "of tables of its parents": (Amphibian, {}),
    "a field of a parent": (Amphibian, {"fields": ["name"]}),
    "with generic relations": (Player, {}),
    "a generic relation": (Player, {"fields": ["comments"]}),
    "a child with generic relations": (Captain, {}),
    "a composite key": (Seat, {}),
    "a field beside a composite key": (Seat, {"fields": ["taken"]}),
    "elsewhere": (Account, {"using": "other"}),
    "from a queryset": (Account, {"from_queryset": Account.objects.filter(balance__lt=15)}),
    "a field from a queryset": (
        Account,
        {"from_queryset": Account.objects.all(), "fields": ["owner"]},
    ),
    "with what it refers to": (
        Entry,
        {"from_queryset": Entry.objects.select_related("account")},
    ),
    "without a field": (Account, {"from_queryset": Account.objects.defer("owner")}),
    "from a queryset elsewhere": (
        Account,
        {"from_queryset": Account.objects.all(), "using": "other"},
    ),
    "from another class": (Account, {"from_queryset": Filtering(Account)}),
    "from one of Django's": (Account, {"from_queryset": QuerySet(Account)}),
    "from nothing": (Account, {"from_queryset": Account.objects.none()}),
}


@pytest.mark.parametrize("case", REFRESHED)
def test_of_an_instance(case, play):
    model, options = REFRESHED[case]

    async def refresh(orm):
        outcomes = []
        for place in (0, 1, 2, 1):
            instances = await orm.list(model.objects.order_by("pk"))
            instance = instances[place % len(instances)]
            if model is Account:
                await orm.list(instance.entries.all())
                instance._prefetched_objects_cache = {"entries": instance.entries.all()}
                instance.owner, instance.balance = "not saved", -1
            if model is Entry:
                instance.account = Account(pk=90)
            if model is Player:
                instance.team = Team(pk=90)
            given_options = {
                name: value() if callable(value) and name == "fields" else value
                for name, value in options.items()
            }
            try:
                await orm.call(instance, "refresh_from_db", **given_options)
            except Exception as exc:
                outcomes.append((type(exc), str(exc)))
            prefetched = sorted(getattr(instance, "_prefetched_objects_cache", ()))
            cached = sorted(instance._state.fields_cache)
            found = {name: value for name, value in instance.__dict__.items() if name[0] != "_"}
            outcomes.append((found, prefetched, cached, instance._state.db))
        return outcomes

    play(refresh, given=given)


def test_of_what_is_not_loaded_or_not_there(play):
    async def refresh(orm):
        outcomes = []
        for instance in (
            *await orm.list(Account.objects.defer("owner").order_by("pk")),
            *await orm.list(Account.objects.only("owner").order_by("pk")),
            Account(pk=90, owner="not there"),
            Account(owner="new"),
            Account(pk="x"),
        ):
            for _ in range(2):
                try:
                    await orm.call(instance, "refresh_from_db")
                except Exception as exc:
                    outcomes.append((type(exc), str(exc)))
            outcomes.append(instance)
        return outcomes

    play(refresh, given=accounts_with_entries)


@pytest.mark.usefixtures("scratch")
def test_it_needs_no_bridge(run, monkeypatch):
    called = []

    async def steps():
        account = await Account.objects.acreate(owner="Ada")
        for _ in range(4):
            await account.arefresh_from_db()
            await account.arefresh_from_db(fields=["balance"])
        monkeypatch.setattr(bridge, "run", lambda *args, **kwargs: called.append(args))
        await account.arefresh_from_db()
        await account.arefresh_from_db(fields=["balance"])
        monkeypatch.undo()
        return called

    assert run(steps) == []
