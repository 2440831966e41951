"""Instances of several tables, with keys of their own and with receivers: saved as by Django."""

import datetime
import itertools
import uuid

import pytest
from django.db import IntegrityError, models, transaction
from django.db.models import F
from django.db.models.signals import post_init, post_save, pre_init, pre_save

from tests.library.models import Account, Entry
from tests.library.saving import (
    Amphibian,
    Boat,
    Car,
    Label,
    Parked,
    Rented,
    Taxi,
    Trailer,
    Vehicle,
)
from tests.support.givens import accounts, accounts_with_entries, receivers
from turbo_orm import async_atomic, bridge
from turbo_orm.query_cache.cache import cache

KEYS = [uuid.UUID(int=number) for number in range(10)]


@pytest.fixture(autouse=True)
def same_time(monkeypatch):
    """What ``auto_now`` sets is the same by Django and by turbo-orm."""
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)


def vehicles():
    for i in range(1, 4):
        Vehicle.objects.create(name=f"vehicle {i}")
        Car.objects.create(name=f"car {i}", doors=i)
        Taxi.objects.create(name=f"taxi {i}", number=i)
        Amphibian.objects.create(name=f"amphibian {i}", length=i)
        Trailer.objects.create(name=f"trailer {i}")
        Parked.objects.create(pk=KEYS[i], place="here")
        Rented.objects.create(id=KEYS[i + 3], place="there")


MADE = {
    "a child": lambda value: Car(name=value, doors=value),
    "with a relation": lambda value: Car(name=value, tows=Vehicle(pk=value)),
    "with an unsaved relation": lambda value: Car(name=value, tows=Vehicle()),
    "a grandchild": lambda value: Taxi(name=value, number=value),
    "of two parents": lambda value: Amphibian(name=value, length=value),
    "of two parents, one of which is there": lambda value: Amphibian(boat_id=value, name="x"),
    "without a field": lambda value: Trailer(name=value),
    "with a key": lambda value: Car(pk=value, name=value),
    "with a new key": lambda value: Car(pk=90 + value, name=value),
    "with its parent's key": lambda value: Car(id=value, name=value),
    "with its parent": lambda value: Car(vehicle_ptr_id=value, name="x"),
    "with a key of its own": lambda value: Parked(pk=KEYS[6 + value], place=value),
    "with one that is taken": lambda value: Parked(pk=KEYS[value], place=value),
    "with its parent's key of its own": lambda value: Rented(id=KEYS[6 + value], place=value),
    "too large": lambda value: Car(name=value, doors=2 ** (30 + value)),
    "too large in its parent": lambda value: Car(name=value, wheels=2 ** (30 + value)),
    "NULL": lambda value: Taxi(name=None if value > 1 else "x"),
    "an expression": lambda value: Car(name=value, doors=F("doors") + value),
    "with SQL by its value": lambda value: Label(text="x!x!x"[value:]),
    "plain": lambda value: Account(owner=f"new {value}"),
    "plain with a key": lambda value: Account(pk=value, owner=f"new {value}"),
    "plain with a new key": lambda value: Account(pk=90 + value, owner=f"new {value}"),
    "plain, of a row that is there": lambda value: Account(owner="Ada"),
}
OPTIONS = [
    {},
    {"force_insert": True},
    {"force_update": True},
    {"force_insert": True, "force_update": True},
    {"force_insert": (Vehicle,)},
]


def given():
    accounts()
    vehicles()


def each(steps, *options):
    """Return steps that are taken with three values, and say what came of each."""

    async def all_steps(orm):
        outcomes = []
        for value, option in itertools.product((1, 2, 3), options or [()]):
            try:
                async with orm.atomic():
                    outcomes.append(await steps(orm, value, *option))
            except Exception as exc:
                outcomes.append((type(exc), str(exc).split("\n")[0]))
        return outcomes

    return all_steps


@pytest.mark.parametrize("case", MADE)
def test_of_what_was_made(case, play):
    async def save(orm, value, options):
        instance = MADE[case](value)
        try:
            await orm.call(instance, "save", **options)
        finally:
            state = instance._state.adding, instance._state.db, dict(instance.__dict__)
        return instance, state

    play(each(save, *zip(OPTIONS)), given=given)


LOADED = {
    "a child": (Car, {}),
    "a grandchild": (Taxi, {}),
    "of two parents": (Amphibian, {}),
    "without a field": (Trailer, {}),
    "with a key of its own": (Rented, {}),
    "plain": (Account, {}),
    "a field": (Taxi, {"update_fields": ["number"]}),
    "a field of a parent": (Taxi, {"update_fields": {"wheels"}}),
    "fields of some": (Taxi, {"update_fields": ["name", "changed", "tows"]}),
    "fields of two parents": (Amphibian, {"update_fields": ("length", "name", "propellers")}),
    "by an attribute": (Taxi, {"update_fields": ["tows_id"]}),
    "no field": (Taxi, {"update_fields": ["nothing"]}),
    "the link": (Taxi, {"update_fields": ["as_car"]}),
    "of no field": (Trailer, {"update_fields": ["wheels"]}),
}


def changed(instance, value):
    if isinstance(instance, Vehicle):
        instance.name, instance.wheels = f"changed {value}", value
    if isinstance(instance, Taxi):
        instance.number, instance.tows_id = 70 + value, value or None
    if isinstance(instance, Boat):
        instance.length, instance.propellers = 80 + value, value
    if isinstance(instance, Parked):
        instance.place, instance.days = f"changed {value}", value
    if isinstance(instance, Account):
        instance.balance = 70 + value


@pytest.mark.parametrize("case", LOADED)
def test_of_what_was_loaded(case, play):
    model, options = LOADED[case]

    async def save(orm, value, is_gone, forced):
        instance = (await orm.list(model.objects.order_by("pk")))[value - 1]
        changed(instance, value)
        if is_gone and value > 1:
            await orm.call(model.objects.filter(pk=instance.pk), "delete")
        try:
            await orm.call(instance, "save", force_update=forced, **options)
        finally:
            state = instance._state.adding, instance._state.db, dict(instance.__dict__)
        return instance, state

    play(each(save, *itertools.product((False, True), repeat=2)), given=given)


def test_of_a_copy(play):
    """Django's way to copy a row: the key is taken away."""

    async def save(orm, value):
        account = await orm.call(Account.objects, "get", pk=value)
        account.pk, account.owner = None, f"copy {value}"
        await orm.call(account, "save")
        car = (await orm.list(Car.objects.order_by("pk")))[value - 1]
        car.pk = car.id = None
        await orm.call(car, "save")
        return account, car

    play(each(save), given=given)


def test_of_what_was_loaded_in_part(play):
    async def save(orm, value):
        car = (await orm.list(Car.objects.defer("doors", "wheels").order_by("pk")))[value - 1]
        car.name = f"changed {value}"
        await orm.call(car, "save")
        await orm.call(car, "save", update_fields=["name"])
        return car

    play(each(save), given=given)


def test_of_a_parent_that_is_cached(play):
    """The instance that a link to the parent has cached is forgotten."""

    async def save(orm, value):
        taxi = (await orm.list(Taxi.objects.select_related("as_car").order_by("pk")))[value - 1]
        changed(taxi, value)
        await orm.call(taxi, "save")
        return taxi, Taxi._meta.get_field("as_car").is_cached(taxi)

    play(each(save), given=given)


def test_receivers_of_a_child(play):
    async def save(orm, value):
        with receivers(pre_save, post_save) as told:
            car = await orm.call(Car.objects, "create", name=f"new {value}")
            car.doors = value
            await orm.call(car, "save")
            await orm.call(car, "save", update_fields=["doors"])
            await orm.call(car, "save", update_fields=[])
        return told, car

    play(each(save), given=given)


def changing(instance, **kwargs):
    instance.balance += 1


def keyless(instance, **kwargs):
    instance.pk = None


def numbering(instance, **kwargs):
    instance.pk = 90 + Account.objects.count()


def forgetting(instance, **kwargs):
    del instance.__dict__["owner"]


def expressing(instance, **kwargs):
    instance.balance = F("balance") + 1


def failing(instance, **kwargs):
    raise IntegrityError("refused by a receiver")


def saving(instance, created=None, **kwargs):
    if created and instance.balance < 5:
        Account.objects.create(owner=f"{instance.owner}, again", balance=instance.balance + 2)


async def awaiting(instance, **kwargs):
    instance.balance += await Account.objects.acount()


RECEIVERS = [changing, keyless, numbering, forgetting, expressing, failing, saving]
SOME = {"update_fields": ["balance"]}


@pytest.mark.parametrize("signal", [pre_save, post_save])
@pytest.mark.parametrize("receive", RECEIVERS)
def test_receivers_that_change_what_is_saved(receive, signal, play):
    async def save(orm, value, options):
        account = await orm.call(Account.objects, "get", pk=value)
        account.balance = value
        try:
            await orm.call(account, "save", **options)
        finally:
            state = dict(account.__dict__)
        owner = f"new {value} {options}"
        made = await orm.call(Account.objects, "create", owner=owner, balance=value)
        return state, made

    signal.connect(receive, sender=Account)
    try:
        play(each(save, *zip([{}, SOME, {"force_update": True}])), given=accounts)
    finally:
        signal.disconnect(receive, sender=Account)


@pytest.mark.usefixtures("scratch")
def test_async_receivers_query_in_the_transaction(run):
    async def steps():
        async with async_atomic():
            for number in range(3):
                await Account.objects.acreate(owner=f"{number}")
        return [each.balance async for each in Account.objects.order_by("owner")]

    pre_save.connect(awaiting, sender=Account)
    try:
        assert run(steps) == [0, 1, 2]
    finally:
        pre_save.disconnect(awaiting, sender=Account)


@pytest.mark.parametrize("signal", [pre_init, post_init])
def test_receivers_of_making_query(signal, play):
    found = []

    def receive(sender, **kwargs):
        found.append(Entry.objects.count())

    async def create(orm, value):
        await orm.call(Account.objects, "create", owner=f"new {value}")
        return found.pop()

    signal.connect(receive, sender=Account)
    try:
        play(each(create), given=accounts_with_entries)
    finally:
        signal.disconnect(receive, sender=Account)


def test_receivers_that_come_and_go(play):
    async def save(orm, value):
        told = []

        def receive(instance, **kwargs):
            told.append(instance.owner)

        account = await orm.call(Account.objects, "get", pk=value)
        await orm.call(account, "save")
        post_save.connect(receive, sender=Account)
        await orm.call(account, "save")
        post_save.disconnect(receive, sender=Account)
        await orm.call(account, "save")
        post_save.connect(receive, sender=Entry)
        await orm.call(account, "save")
        post_save.connect(receive)
        await orm.call(account, "save")
        # Collected, it is no receiver any more.
        del receive
        await orm.call(account, "save")
        return told

    try:
        play(each(save), given=accounts)
    finally:
        assert not post_save.has_listeners(Account)


def test_a_failed_child_leaves_no_parent(run, scratch):
    """The tables are written in one transaction, which is Django's."""

    async def steps():
        seen = []
        for _ in range(3):
            try:
                await Car(name="x", doors=2**40).asave()
            except Exception as exc:
                seen.append(type(exc))
        async with async_atomic():
            try:
                await Car(name="x", doors=2**40).asave()
            except Exception as exc:
                seen.append((type(exc), transaction.get_rollback()))
            transaction.set_rollback(True)
        return seen, await Vehicle.objects.acount()

    def django():
        seen = []
        for _ in range(3):
            try:
                models.Model.save(Car(name="x", doors=2**40))
            except Exception as exc:
                seen.append(type(exc))
        with transaction.atomic():
            try:
                models.Model.save(Car(name="x", doors=2**40))
            except Exception as exc:
                seen.append((type(exc), transaction.get_rollback()))
            transaction.set_rollback(True)
        return seen, Vehicle.objects.count()

    assert run(steps) == django()


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("model", [Car, Taxi, Amphibian, Rented])
def test_only_the_first_saves_are_djangos(model, run, monkeypatch):
    async def steps():
        called = []
        for value in range(4):
            instance = model()
            await instance.asave()
            changed(instance, 0)
            if isinstance(instance, Car):
                # Before Django 6.1, a NULL is no parameter of an update.
                instance.tows_id = instance.pk
            await instance.asave()
            if value == 1:
                monkeypatch.setattr(bridge, "run", note(called))
        return called

    def note(called):
        run = bridge.run

        async def noting(function, *args, **kwargs):
            called.append(function.__qualname__)
            return await run(function, *args, **kwargs)

        return noting

    cache.clear()
    assert run(steps) == []
