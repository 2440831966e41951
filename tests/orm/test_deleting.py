"""Deletion, against Django's: cascades, signals, and what is in the tables after."""

import pytest
from django.db import DataError, IntegrityError, connection
from django.db.models import F, ProtectedError
from django.db.models.signals import post_delete, pre_delete

from tests.library.models import Account, Captain, Comment, Contract, Entry, Player, Skill, Team
from tests.library.saving import Aisle, Crate, Depot, Pallet, Receipt, Shop, Till
from tests.support.givens import accounts_with_entries, receivers, teams
from turbo_orm import async_connection, bridge

# adelete()

DELETIONS = {
    "all": (lambda: Account.objects.all(), None),
    "nothing": (lambda: Account.objects.filter(owner="x"), None),
    "none()": (lambda: Account.objects.none(), None),
    "fast": (lambda: Entry.objects.filter(amount__lt=0), None),
    "cascade": (lambda: Account.objects.filter(owner__in=["Ada", "Bo"]), None),
    "ordered": (lambda: Account.objects.order_by("-owner").filter(pk__gt=2), None),
    "through a join": (lambda: Entry.objects.filter(account__owner="Ada"), None),
    "slice": (lambda: Account.objects.order_by("pk")[:1], TypeError),
    "distinct": (lambda: Account.objects.distinct("owner"), TypeError),
    "values": (lambda: Account.objects.values("owner"), TypeError),
}


@pytest.mark.parametrize("case", DELETIONS)
def test_adelete(case, play):
    make, error = DELETIONS[case]

    async def steps(orm):
        return await orm.call(make(), "delete")

    play(steps, given=accounts_with_entries, raises=error)


DELETIONS_OF_TEAMS = {
    "SET_NULL": lambda: Team.objects.all(),
    "many to many, generic, through, and child tables": lambda: Player.objects.all(),
    "one of many": lambda: Player.objects.filter(name="player 2"),
    "a child with its parent": lambda: Captain.objects.all(),
    "the far side of many to many": lambda: Skill.objects.all(),
    "generic": lambda: Comment.objects.filter(text="on 1"),
}


@pytest.mark.parametrize("case", DELETIONS_OF_TEAMS)
def test_adelete_with_relations(case, play):
    async def steps(orm):
        return await orm.call(DELETIONS_OF_TEAMS[case](), "delete")

    play(steps, given=teams)


def test_adelete_of_what_is_protected(play):
    def given():
        teams()
        Contract.objects.create(player_id=1)

    async def steps(orm):
        await orm.call(Player.objects.all(), "delete")

    play(steps, given=given, raises=ProtectedError)


def test_adelete_sends_signals_to_receivers_that_query(play):
    async def steps(orm):
        with receivers(pre_delete, post_delete) as told:
            await orm.call(Player.objects.filter(pk__gt=2), "delete")
        return told

    assert len(play(steps, given=teams)["returned"][2]) > 4


def test_a_receiver_that_raises_undoes_the_deletion(play):
    def refuse(**kwargs):
        raise ValueError("No.")

    async def steps(orm):
        post_delete.connect(refuse, sender=Account)
        try:
            await orm.call(Account.objects.all(), "delete")
        finally:
            post_delete.disconnect(refuse, sender=Account)

    answer = play(steps, given=accounts_with_entries, raises=ValueError)
    assert len(answer["tables"]["library_entry"]) == 9


def test_a_manager_has_no_adelete():
    with pytest.raises(AttributeError):
        _ = Account.objects.adelete


def depots():
    """Depots with crates and pallets, of which some refer to two depots."""
    made = Depot.objects.bulk_create(Depot(name=f"depot {i}") for i in range(6))
    for i, depot in enumerate(made):
        Crate.objects.bulk_create(
            Crate(depot=depot, target=made[(i + 1) % 6] if n % 2 else None) for n in range(i)
        )
        Pallet.objects.bulk_create(Pallet(depot=depot) for _ in range(i % 3))
    for i in range(4):
        shop = Shop.objects.create(name=f"shop {i}")
        Aisle.objects.bulk_create(Aisle(shop=shop) for _ in range(i))
        for _ in range(i % 3):
            till = Till.objects.create(shop=shop, other=Shop.objects.first())
            Receipt.objects.create(till=till)
    teams()
    accounts_with_entries()


CASCADES = {
    "to two models": (Depot, {}),
    "to one": (Account, {}),
    "of two levels": (Shop, {}),
    "that sets NULL": (Team, {}),
    "to relations to many": (Skill, {}),
    "of generic relations": (Player, {}),
    "to what is protected": (Player, {"pk": 1}),
    "to nothing": (Entry, {}),
}


@pytest.mark.parametrize("case", CASCADES)
def test_cascades_of_instances(case, play):
    model, lookups = CASCADES[case]

    async def steps(orm):
        found = []
        for instance in (await orm.list(model.objects.filter(**lookups).order_by("pk")))[:4]:
            found.append(await orm.call(instance, "delete"))
            found.append((instance.pk, dict(instance.__dict__)))
            instance.pk = 1
            found.append(await orm.call(instance, "delete"))
            for missing in ("1", 2**40, -1, True, "x"):
                instance.pk = missing
                try:
                    async with orm.atomic():
                        found.append(await orm.call(instance, "delete"))
                except (DataError, IntegrityError, TypeError, ValueError) as exc:
                    found.append((type(exc), str(exc)))
        return found

    def given():
        depots()
        if "pk" in lookups:
            Contract.objects.create(player_id=1)

    def expecting():
        return ProtectedError if lookups else None

    play(steps, given=given, raises=expecting())


QUERYSETS = {
    "all": lambda objects: objects.all(),
    "none": lambda objects: objects.none(),
    "no row": lambda objects: objects.filter(pk=90),
    "one": lambda objects: objects.filter(pk=1),
    "some": lambda objects: objects.filter(pk__in=[3, 1, 2]),
    "ordered": lambda objects: objects.order_by("-pk"),
    "distinct": lambda objects: objects.distinct(),
    "prefetching": lambda objects: objects.prefetch_related("aisles", "tills"),
    "of parts": lambda objects: objects.only("pk"),
    "locked": lambda objects: objects.select_for_update(),
    "annotated": lambda objects: objects.annotate(double=F("pk") * 2).filter(double__gt=2),
    "sliced": lambda objects: objects.all()[:2],
    "of values": lambda objects: objects.values("pk"),
    "united": lambda objects: objects.filter(pk=1).union(objects.filter(pk=2)),
    "by a join": lambda objects: objects.filter(tills__number=0),
    "more than once": lambda objects: objects.filter(crates__pk__gt=3).order_by("pk"),
}


@pytest.mark.parametrize("model", [Depot, Shop, Account, Team, Entry])
@pytest.mark.parametrize("case", QUERYSETS)
def test_cascades_of_querysets(case, model, play):
    about = {"prefetching": Shop, "by a join": Shop, "more than once": Depot}
    if about.get(case, model) is not model:
        pytest.skip("it is about another model")

    async def steps(orm):
        found = []
        for _ in range(3):
            queryset = QUERYSETS[case](model.objects)
            try:
                async with orm.atomic():
                    found.append(await orm.call(queryset, "delete"))
                    found.append(await orm.call(model.objects, "count"))
                    raise Undone
            except Undone:
                pass
            except Exception as exc:
                found.append((type(exc), str(exc)))
        found.append(await orm.call(QUERYSETS["some"](model.objects), "delete"))
        return found

    play(steps, given=depots)


class Undone(Exception):
    """Rolls a block back."""


def test_more_rows_than_a_statement_deletes(play):
    async def steps(orm):
        found = []
        for number in (99, 100, 101, 1):
            made = await orm.call(
                Depot.objects, "bulk_create", [Depot(name=str(n)) for n in range(number)]
            )
            crates = [Crate(depot=depot, target=made[0]) for depot in made]
            await orm.call(Crate.objects, "bulk_create", crates)
            found.append(await orm.call(Depot.objects.order_by("-pk"), "delete"))
        return found

    play(steps)


@pytest.mark.parametrize("model", [Depot, Crate])
@pytest.mark.parametrize("signal", [pre_delete, post_delete])
def test_receivers_that_come_and_go(signal, model, play):
    async def steps(orm):
        found, told = [], []

        def receive(instance, origin, **kwargs):
            told.append((type(instance).__name__, type(origin).__name__.removeprefix("Async")))
            told.append(Pallet.objects.count())

        depots_left = await orm.list(Depot.objects.order_by("pk"))
        for turn in range(6):
            if turn in {2, 3}:
                signal.connect(receive, sender=model)
            found.append(await orm.call(depots_left.pop(0), "delete"))
            found.append(await orm.call(Depot.objects.filter(pk=90 + turn), "delete"))
            signal.disconnect(receive, sender=model)
            if turn == 3:
                found.append(await orm.call(Depot.objects.filter(pk=5), "delete"))
        return found, told

    play(steps, given=depots)


@pytest.mark.parametrize("deletes_instance", [False, True])
def test_cascades_need_no_bridge(deletes_instance, run, scratch, monkeypatch):
    called = []

    async def steps():
        for turn in range(6):
            depot = await Depot.objects.acreate(name="x")
            await Crate.objects.acreate(depot=depot, target=depot)
            if turn == 5:
                note_calls_of_the_bridge()
            if deletes_instance:
                deleted = await depot.adelete()
            else:
                deleted = await Depot.objects.filter(pk=depot.pk).adelete()
            assert deleted == (2, {"library.Crate": 1, "library.Depot": 1})

    def note_calls_of_the_bridge():
        original = bridge.run

        async def noting(function, *args, **kwargs):
            called.append(function.__qualname__)
            return await original(function, *args, **kwargs)

        monkeypatch.setattr(bridge, "run", noting)

    run(steps)
    assert called == []


@pytest.mark.parametrize("deletes_instance", [False, True])
def test_a_cascade_that_fails_is_undone(deletes_instance, run, scratch):
    """What refers to a row without a rule of Django's makes the last statement fail."""

    async def steps():
        async with async_connection():
            outcomes = []
            for _ in range(4):
                depot = await Depot.objects.acreate(name="x")
                await Crate.objects.acreate(depot=depot)
                await bridge.run(execute, f"INSERT INTO refers_to_depot VALUES ({depot.pk})")
                try:
                    if deletes_instance:
                        await depot.adelete()
                    else:
                        await Depot.objects.filter(pk=depot.pk).adelete()
                except IntegrityError:
                    outcomes.append((depot.pk is None, await Crate.objects.acount()))
            return outcomes

    execute("CREATE TABLE refers_to_depot (id bigint REFERENCES library_depot)")
    try:
        assert run(steps) == [(False, number) for number in (1, 2, 3, 4)]
    finally:
        execute("DROP TABLE refers_to_depot")


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
