"""Several databases, and the routers that choose among them: they are asked what Django asks."""

import pytest
from django.db import connections, router
from django.db.utils import ConnectionRouter
from django.test import override_settings

from tests.faults.aliases import known_as
from tests.library.models import Account, Entry
from tests.support.givens import accounts, accounts_with_entries
from tests.support.routers import Router, routed
from turbo_orm import async_atomic, run_sync
from turbo_orm.backend import writes
from turbo_orm.routers import ReplicaRouter, causal_session
from turbo_orm.routers.positions import Positions


def first():
    return Account.objects.get(owner="Ada")


SAVED = Account(owner="new")

OPERATIONS = {
    "get": lambda orm: orm.call(Account.objects, "get", owner="Ada"),
    "first": lambda orm: orm.call(Account.objects, "first"),
    "count": lambda orm: orm.call(Account.objects, "count"),
    "exists": lambda orm: orm.call(Account.objects, "exists"),
    "list": lambda orm: orm.list(Account.objects.order_by("pk")),
    "values": lambda orm: orm.list(Account.objects.order_by("pk").values("owner")),
    "in_bulk": lambda orm: orm.call(Account.objects, "in_bulk", [1]),
    "aggregate": lambda orm: orm.call(Account.objects, "aggregate"),
    "prefetch": lambda orm: orm.list(Account.objects.prefetch_related("entries")),
    "create": lambda orm: orm.call(Account.objects, "create", owner="new"),
    "bulk_create": lambda orm: orm.call(
        Account.objects, "bulk_create", [Account(owner="one"), Account(owner="two")]
    ),
    "update": lambda orm: orm.call(Account.objects.filter(owner="Ada"), "update", balance=7),
    "delete": lambda orm: orm.call(Account.objects.filter(owner="Di"), "delete"),
    "get_or_create": lambda orm: orm.call(Account.objects, "get_or_create", owner="new"),
    "update_or_create": lambda orm: orm.call(Account.objects, "update_or_create", owner="Ada"),
    "related": lambda orm: orm.call(Account(pk=1).entries, "create", amount=3),
    "of a saved instance": lambda orm: orm.call(Account(owner="saved"), "save"),
}


# The others write. update_or_create() has nothing to update.
READS = {
    *("get", "first", "count", "exists", "list"),
    *("values", "in_bulk", "aggregate", "prefetch", "update_or_create"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_they_are_asked_what_django_asks(operation, play):
    """As often, too: a router may toss a coin."""
    asked = []

    async def steps(orm):
        with routed(Router()) as _:
            asked.append(router.routers[0].asked)
            return await OPERATIONS[operation](orm)

    play(steps, given=accounts_with_entries)
    of_django, ours = asked
    assert ours == of_django
    assert ours


class Replicas(ReplicaRouter):
    replicas = {"again": 1}


@pytest.fixture
def replicas(tables, monkeypatch):
    """Have the database once more, as a replica. What it has replayed is never asked for."""
    monkeypatch.setattr(Positions, "use", lambda self, soon=False: None)
    monkeypatch.setattr(writes, "watched", set())
    monkeypatch.setattr(writes, "unreachable", {})
    entry = {**connections.settings["default"]}
    with known_as("again", entry), routed(Replicas()):
        yield
    for connection in connections.all(initialized_only=True):
        connection.execute_wrappers.clear()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.usefixtures("replicas")
def test_a_router_of_replicas_gives_djangos_answers(operation, play):
    """Of each operation that has the database to itself, and of one behind it."""
    places = []

    async def steps(orm):
        with causal_session():
            before = await orm.list(Account.objects.order_by("pk"))
            result = await OPERATIONS[operation](orm)
            places.append([Account.objects.db, await orm.run(lambda: Account.objects.db)])
            again = await OPERATIONS[operation](orm) if operation in READS else None
            return before, result, again, await orm.list(Account.objects.order_by("pk"))

    play(steps, given=accounts_with_entries)
    of_django, ours = places
    assert of_django == ours == [["again"] * 2, ["default"] * 2][operation not in READS]


def test_the_settings_name_the_replicas(replicas):
    names = {"TURBO_ORM": {"PATCH_DJANGO": False, "REPLICAS": {"again": 2}}}
    path = "turbo_orm.routers.ReplicaRouter"
    with override_settings(**names), routed(*ConnectionRouter([path]).routers), causal_session():
        assert router.db_for_read(Account) == "again"
        assert router.db_for_write(Account) == "default"
    with routed(*ConnectionRouter([path]).routers):
        assert router.db_for_read(Account) == "default"


def test_a_replica_is_read_and_the_primary_written(scratch, run):
    async def steps():
        with routed(Router(read="other", write="default")):
            made = await Account.objects.acreate(owner="Ada")
            assert made._state.db == "default"
            assert await Account.objects.acount() == 0
            assert [account async for account in Account.objects.all()] == []
            # An instance stays with its database.
            await made.entries.acreate(amount=1)
            assert await Account.objects.using("default").acount() == 1
            assert await Account.objects.db_manager("default").aexists()
            (again, is_new) = await Account.objects.aget_or_create(owner="Ada")
            assert (again, is_new) == (made, False)

    run(steps)
    assert Entry.objects.using("default").count() == 1
    assert Account.objects.using("other").count() == 0


def test_transactions_of_two_databases(scratch, run):
    async def steps():
        with routed(Router(read="other", write="other")):
            async with async_atomic("other"):
                await Account.objects.acreate(owner="Ada")
                async with async_atomic():
                    await Account.objects.using("default").acreate(owner="Bo")
            assert await Account.objects.aget() == await Account.objects.aget(owner="Ada")

    run(steps)
    assert [a.owner for a in Account.objects.using("other")] == ["Ada"]
    assert [a.owner for a in Account.objects.using("default")] == ["Bo"]


def test_sync_code_on_the_bridge_is_routed_too(scratch, run):
    accounts()

    def function():
        return Account.objects.count(), connections["other"].alias

    async def steps():
        with routed(Router(read="other")):
            return await run_sync(function)

    assert run(steps) == (0, "other")
