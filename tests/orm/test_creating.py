"""Every way of creating, against Django's: answers, statements, and the tables after."""

import asyncio

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import DataError, IntegrityError
from django.db.models import Value
from django.db.models.functions import Concat
from django.db.models.signals import post_save, pre_save

from tests.library.models import Account, Article, Captain, Entry, Player, Seat, Team, Ticket
from tests.support.givens import accounts, new_accounts, receivers, teams
from turbo_orm import async_atomic

# acreate()

CREATIONS = {
    "plain": lambda: (Account.objects, {"owner": "Ada", "balance": 5}),
    "defaults": lambda: (Account.objects, {"owner": "Ada"}),
    "a key of one's own": lambda: (Account.objects, {"pk": 77, "owner": "Ada"}),
    "an expression": lambda: (
        Account.objects,
        {"owner": Concat(Value("A"), Value("da")), "balance": 1},
    ),
    "a foreign key by instance": lambda: (
        Player.objects,
        {"name": "p", "team": Team.objects.model(pk=None)},
    ),
    "a foreign key by value": lambda: (Player.objects, {"name": "p", "team_id": None}),
    "no such foreign key": lambda: (Entry.objects, {"account_id": 1000, "amount": 1}),
    "a child with a table of its own": lambda: (
        Captain.objects,
        {"name": "c", "armband": "right"},
    ),
    "values of the database": lambda: (Ticket.objects, {"price": 21}),
    "a composite key": lambda: (Seat.objects, {"row": 1, "number": 2}),
    "a model that overrides save()": lambda: (Article.objects, {"title": "first"}),
    "unknown keyword": lambda: (Account.objects, {"owner": "Ada", "colour": "red"}),
    "NULL where it must not be": lambda: (Account.objects, {"owner": None}),
    "a text that is too long": lambda: (Account.objects, {"owner": "x" * 51}),
    "not a number": lambda: (Account.objects, {"owner": "Ada", "balance": "many"}),
    "a number out of range": lambda: (Account.objects, {"owner": "Ada", "balance": 2**31}),
    "using another manager": lambda: (Account.objects.using("default"), {"owner": "Ada"}),
    "a filtered queryset": lambda: (Account.objects.filter(owner="x"), {"owner": "Ada"}),
}


CREATION_ERRORS = {
    "a foreign key by instance": ValueError,
    "unknown keyword": TypeError,
    "NULL where it must not be": IntegrityError,
    "a text that is too long": DataError,
    "not a number": ValueError,
    "a number out of range": DataError,
}


@pytest.mark.parametrize("case", CREATIONS)
def test_acreate(case, play):
    async def steps(orm):
        owner, kwargs = CREATIONS[case]()
        return await orm.call(owner, "create", **kwargs)

    if case == "no such foreign key":
        # The constraint is deferred: what fails is the commit, that of a single statement here.
        play(steps, raises=IntegrityError)
    else:
        play(steps, raises=CREATION_ERRORS.get(case))


@pytest.mark.parametrize("method", ["create", "get_or_create", "update_or_create"])
def test_a_default_may_query(method, play, monkeypatch, empty_cache):
    balance = Account._meta.get_field("balance")
    monkeypatch.setattr(balance, "default", lambda: Account.objects.count() + 40)
    monkeypatch.setitem(vars(balance), "_get_default", balance.default)

    async def steps(orm):
        return [await orm.call(Account.objects, method, owner=owner) for owner in "abcd"]

    play(steps, given=accounts)


def test_acreate_with_the_instance_of_a_foreign_key(play):
    async def steps(orm):
        team = await orm.call(Team.objects, "create", name="red")
        return await orm.call(Player.objects, "create", name="p", team=team), team

    play(steps)


def test_acreate_twice_with_the_same_key_is_an_error_that_changes_nothing(play):
    async def steps(orm):
        await orm.call(Account.objects, "create", pk=1, owner="Eve")

    play(steps, given=accounts, raises=IntegrityError)


def test_acreate_inserts_even_where_the_key_exists(play):
    """``save()`` would update."""

    async def steps(orm):
        return await orm.call(Team.objects, "create", pk=1, name="green")

    answer = play(steps, given=teams, raises=IntegrityError)
    assert not any(statement.startswith("UPDATE") for statement in answer["statements"])


def test_an_overridden_save_that_queries_is_called(play):
    async def steps(orm):
        first = await orm.call(Article.objects, "create", title="first")
        second = await orm.call(Article.objects, "create", title="second")
        return first, second

    play(steps)
    assert list(Article.objects.order_by("pk").values_list("position", flat=True)) == [1, 2]


def test_sync_receivers_that_query(play):
    async def steps(orm):
        with receivers(pre_save, post_save) as told:
            account = await orm.call(Account.objects, "create", owner="Ada")
            account.balance = 4
            await orm.call(account, "save", update_fields=["balance"])
            await orm.call(Captain.objects, "create", name="c")
        return told

    answer = play(steps)
    assert len(answer["returned"][2]) == 6


def test_async_receivers_are_awaited(play):
    async def steps(orm):
        told = []

        async def receive(instance, created, **kwargs):
            await asyncio.sleep(0)
            told.append((instance.owner, created))

        post_save.connect(receive, sender=Account)
        try:
            await orm.call(Account.objects, "create", owner="Ada")
        finally:
            post_save.disconnect(receive, sender=Account)
        return told

    assert len(play(steps)["returned"][2]) == 1


def test_async_receivers_are_part_of_the_transaction(scratch, run):
    seen = []

    async def receive(instance, **kwargs):
        await Entry.objects.acreate(account=instance, amount=1)
        seen.append(await Entry.objects.acount())

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(owner="Ada")
            raise LookupError("changed my mind")

    post_save.connect(receive, sender=Account)
    try:
        with pytest.raises(LookupError):
            run(steps)
    finally:
        post_save.disconnect(receive, sender=Account)
    assert seen == [1]
    assert Entry.objects.count() == 0


def test_several_async_receivers_may_query(scratch, run):
    seen = []

    async def first(instance, **kwargs):
        seen.append(("first", await Account.objects.acount()))

    async def second(instance, **kwargs):
        seen.append(("second", await Account.objects.acount()))

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(owner="Ada")

    for receiver in (first, second):
        post_save.connect(receiver, sender=Account)
    try:
        run(steps)
    finally:
        for receiver in (first, second):
            post_save.disconnect(receiver, sender=Account)
    assert sorted(seen) == [("first", 1), ("second", 1)]


def test_the_exception_of_a_receiver_passes_through(play):
    def refuse(**kwargs):
        raise ValueError("No.")

    async def steps(orm):
        post_save.connect(refuse, sender=Captain)
        try:
            await orm.call(Captain.objects, "create", name="c")
        finally:
            post_save.disconnect(refuse, sender=Captain)

    play(steps, raises=ValueError)


def test_a_receiver_that_writes_is_part_of_the_transaction(play):
    def book(instance, **kwargs):
        Entry.objects.create(account=instance, amount=instance.balance)

    async def steps(orm):
        post_save.connect(book, sender=Account)
        try:
            async with orm.atomic():
                await orm.call(Account.objects, "create", owner="Ada", balance=3)
                raise LookupError("changed my mind")
        finally:
            post_save.disconnect(book, sender=Account)

    answer = play(steps, raises=LookupError)
    assert any("library_entry" in statement for statement in answer["statements"])


def test_an_instance_keeps_its_state_after_a_failed_insert(play):
    async def steps(orm):
        account = Account(owner="Ada")
        try:
            await orm.call(account, "save")
        except IntegrityError:
            return account
        raise AssertionError("There is an Ada already.")

    play(steps, given=accounts)


# abulk_create()


def test_abulk_create_returns_the_objects_with_their_keys(play):
    async def steps(orm):
        objs = new_accounts("Ada", "Bo", "Cy")
        created = await orm.call(Account.objects, "bulk_create", objs)
        return created, [a is b for a, b in zip(objs, created, strict=True)]

    play(steps)


def test_abulk_create_of_a_generator(play):
    async def steps(orm):
        return await orm.call(
            Account.objects, "bulk_create", (Account(owner=f"o{i}") for i in range(5))
        )

    assert len(play(steps)["tables"]["library_account"]) == 5


def test_abulk_create_of_nothing_asks_nothing(play):
    async def steps(orm):
        return await orm.call(Account.objects, "bulk_create", [])

    assert play(steps)["statements"] == []


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_abulk_create_in_batches(batch_size, play):
    async def steps(orm):
        objs = new_accounts("a", "b", "c", "d", "e")
        return await orm.call(Account.objects, "bulk_create", objs, batch_size=batch_size)

    statements = play(steps)["statements"]
    inserts = [statement for statement in statements if statement.startswith("INSERT")]
    assert len(inserts) == -(-5 // batch_size)


def test_abulk_create_does_not_take_an_impossible_batch_size(play):
    async def steps(orm):
        await orm.call(Account.objects, "bulk_create", new_accounts("a"), batch_size=-1)

    play(steps, raises=ValueError)


def test_abulk_create_with_and_without_keys(play):
    async def steps(orm):
        objs = [Account(pk=50, owner="a"), Account(owner="b"), Account(pk=40, owner="c")]
        return await orm.call(Account.objects, "bulk_create", objs)

    play(steps)


def test_abulk_create_with_foreign_keys(play):
    async def steps(orm):
        account = await orm.call(Account.objects, "get", owner="Ada")
        return await orm.call(
            Entry.objects, "bulk_create", [Entry(account=account, amount=i) for i in range(3)]
        )

    play(steps, given=accounts)


def test_abulk_create_with_an_unsaved_foreign_key(play):
    async def steps(orm):
        entry = Entry(account=Account(owner="new"), amount=1)
        await orm.call(Entry.objects, "bulk_create", [entry])

    play(steps, raises=ValueError)


def test_abulk_create_fails_as_a_whole(play):
    async def steps(orm):
        objs = new_accounts("x", "y", "Ada", "z")
        await orm.call(Account.objects, "bulk_create", objs, batch_size=1)

    play(steps, given=accounts, raises=IntegrityError)


def test_abulk_create_ignores_conflicts(play):
    async def steps(orm):
        objs = new_accounts("Ada", "new")
        return await orm.call(Account.objects, "bulk_create", objs, ignore_conflicts=True)

    play(steps, given=accounts)


def test_abulk_create_updates_conflicts(play):
    async def steps(orm):
        return await orm.call(
            Account.objects,
            "bulk_create",
            [Account(owner="Ada", balance=99), Account(owner="new", balance=98)],
            update_conflicts=True,
            update_fields=["balance"],
            unique_fields=["owner"],
        )

    play(steps, given=accounts)


def test_abulk_create_updates_conflicts_of_the_primary_key(play):
    async def steps(orm):
        return await orm.call(
            Account.objects,
            "bulk_create",
            [Account(pk=1, owner="Ada II", balance=99)],
            update_conflicts=True,
            update_fields=["owner", "balance"],
            unique_fields=["pk"],
        )

    play(steps, given=accounts)


WRONG_CONFLICTS = {
    "both": ({"ignore_conflicts": True, "update_conflicts": True}, ValueError),
    "no fields": ({"update_conflicts": True, "unique_fields": ["owner"]}, ValueError),
    "no unique fields": ({"update_conflicts": True, "update_fields": ["balance"]}, ValueError),
    "a key to update": (
        {"update_conflicts": True, "update_fields": ["id"], "unique_fields": ["owner"]},
        ValueError,
    ),
    "no such field": (
        {"update_conflicts": True, "update_fields": ["nope"], "unique_fields": ["owner"]},
        FieldDoesNotExist,
    ),
}


@pytest.mark.parametrize("case", WRONG_CONFLICTS)
def test_abulk_create_with_wrong_conflict_options(case, play):
    kwargs, error = WRONG_CONFLICTS[case]

    async def steps(orm):
        await orm.call(Account.objects, "bulk_create", new_accounts("x"), **kwargs)

    play(steps, raises=error)


def test_abulk_create_of_a_child_with_a_table_of_its_own(play):
    async def steps(orm):
        await orm.call(Captain.objects, "bulk_create", [Captain(name="c")])

    play(steps, raises=ValueError)


def test_abulk_create_reads_back_what_the_database_worked_out(play):
    async def steps(orm):
        objs = [Ticket(price=1), Ticket(price=2, number=3)]
        return await orm.call(Ticket.objects, "bulk_create", objs)

    play(steps)


def test_abulk_create_of_a_composite_key(play):
    async def steps(orm):
        objs = [Seat(row=1, number=n) for n in range(3)]
        return await orm.call(Seat.objects, "bulk_create", objs)

    play(steps)


def test_abulk_create_sends_no_signals_and_calls_no_save(play):
    async def steps(orm):
        with receivers(pre_save, post_save) as told:
            await orm.call(Article.objects, "bulk_create", [Article(title="a", position=9)])
        return told

    answer = play(steps)
    assert answer["returned"] == (list, None, [])
    assert answer["tables"]["library_article"] == [(1, "a", 9)]


# abulk_update()


@pytest.mark.parametrize("batch_size", [None, 1, 3])
def test_abulk_update(batch_size, play):
    async def steps(orm):
        found = await orm.list(Account.objects.order_by("pk"))
        for i, account in enumerate(found):
            account.balance = 100 + i
            account.owner = account.owner.upper()
        rows = await orm.call(
            Account.objects, "bulk_update", found, ["balance", "owner"], batch_size=batch_size
        )
        return rows, found

    play(steps, given=accounts)
