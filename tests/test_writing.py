"""Every way of writing, against Django's: answers, statements, and what is in the tables after."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import django
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist, FieldError, ObjectDoesNotExist
from django.db import DatabaseError, DataError, IntegrityError, NotSupportedError, connections
from django.db.models import Case, Count, F, ProtectedError, Value, When
from django.db.models.functions import Concat, Lower, Upper
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.db.transaction import TransactionManagementError

from tests.answers import fingerprint
from tests.clients import Rival, separate_task, until
from tests.conftest import empty
from tests.library.models import (
    Account,
    Article,
    Captain,
    Comment,
    Contract,
    Diary,
    Entry,
    Mentoring,
    Player,
    Seat,
    Skill,
    Team,
    Ticket,
)
from turbo_orm import async_atomic

# What is there before the steps


def accounts():
    Account.objects.bulk_create(
        Account(owner=owner, balance=10 * i) for i, owner in enumerate(["Ada", "Bo", "Cy", "Di"])
    )


def accounts_with_entries():
    accounts()
    Entry.objects.bulk_create(
        Entry(account_id=1 + i % 3, amount=amount) for i, amount in enumerate(range(-3, 6))
    )


def teams():
    red, blue = Team.objects.bulk_create([Team(name="red", city="Rome"), Team(name="blue")])
    skills = Skill.objects.bulk_create(Skill(name=name) for name in ["pass", "run", "shoot"])
    for i in range(4):
        player = Player.objects.create(name=f"player {i}", rank=i, team=[red, blue, None][i % 3])
        player.skills.set(skills[:i])
        player.comments.create(text=f"on {i}")
    captain = Captain.objects.create(name="captain", rank=9, team=red, armband="left")
    captain.comments.create(text="on the captain")
    Mentoring.objects.create(from_player=captain, to_player_id=1, hours=3)


@contextmanager
def receivers(*signals):
    """Record what sync receivers of signals are told, and what they find in the database."""
    told = []

    def receive(signal, sender, **kwargs):
        instance = kwargs.get("instance")
        told.append(
            (
                signals.index(signal),
                sender.__name__,
                str(instance.pk),
                {
                    name: sorted(value) if isinstance(value, set) else value
                    for name, value in kwargs.items()
                    if name in {"created", "raw", "update_fields", "action", "reverse", "pk_set"}
                },
                sender.objects.count() if hasattr(sender, "objects") else None,
            )
        )

    for signal in signals:
        signal.connect(receive)
    try:
        yield told
    finally:
        for signal in signals:
            signal.disconnect(receive)


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


def new_accounts(*owners, **kwargs):
    return [Account(owner=owner, balance=i, **kwargs) for i, owner in enumerate(owners)]


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


def test_abulk_update_with_expressions(play):
    async def steps(orm):
        found = await orm.list(Account.objects.order_by("pk"))
        for account in found:
            account.balance = F("balance") * 2
            account.owner = Lower("owner")
        return await orm.call(Account.objects, "bulk_update", found, ["balance", "owner"])

    play(steps, given=accounts)


def test_abulk_update_of_some_of_a_queryset(play):
    async def steps(orm):
        found = await orm.list(Account.objects.order_by("pk"))
        for account in found:
            account.balance = -1
        return await orm.call(
            Account.objects.filter(balance__gte=20), "bulk_update", found, ["balance"]
        )

    play(steps, given=accounts)


WRONG_BULK_UPDATES = {
    "no fields": lambda: (new_accounts("x"), [], {}, ValueError),
    "no key": lambda: (new_accounts("x"), ["balance"], {}, ValueError),
    "the key itself": lambda: ([Account(pk=1)], ["id"], {}, ValueError),
    "no such field": lambda: ([Account(pk=1)], ["nope"], {}, FieldDoesNotExist),
    "batch size": lambda: ([Account(pk=1)], ["balance"], {"batch_size": -1}, ValueError),
    "nothing": lambda: ([], ["balance"], {}, None),
}


@pytest.mark.parametrize("case", WRONG_BULK_UPDATES)
def test_abulk_update_at_the_edge(case, play):
    *_, error = WRONG_BULK_UPDATES[case]()

    async def steps(orm):
        objs, fields, kwargs, _ = WRONG_BULK_UPDATES[case]()
        return await orm.call(Account.objects, "bulk_update", objs, fields, **kwargs)

    play(steps, given=accounts, raises=error)


# aupdate()

UPDATES = {
    "a value": lambda: (Account.objects.all(), {"balance": 1}),
    "nobody": lambda: (Account.objects.filter(owner="x"), {"balance": 1}),
    "none()": lambda: (Account.objects.none(), {"balance": 1}),
    "empty in": lambda: (Account.objects.filter(pk__in=[]), {"balance": 1}),
    "an F expression": lambda: (Account.objects.all(), {"balance": F("balance") + 5}),
    "a function": lambda: (Account.objects.all(), {"owner": Upper("owner")}),
    "a case": lambda: (
        Account.objects.all(),
        {"balance": Case(When(owner="Ada", then=Value(1)), default=F("balance"))},
    ),
    "in order": lambda: (Account.objects.order_by("-balance"), {"balance": F("balance") + 1}),
    "in order of an annotation": lambda: (
        Account.objects.annotate(low=Lower("owner")).order_by("low"),
        {"balance": F("balance") + 1},
    ),
    "an annotation": lambda: (
        Account.objects.annotate(twice=F("balance") * 2),
        {"balance": F("twice")},
    ),
    "an aggregate": lambda: (
        Account.objects.annotate(n=Count("entries")).filter(n__gt=2),
        {"balance": 0},
    ),
    "through a join": lambda: (Entry.objects.filter(account__owner="Ada"), {"amount": 7}),
    "a foreign key by instance": lambda: (
        Entry.objects.filter(account=1),
        {"account": Account(pk=2)},
    ),
    "no fields": lambda: (Account.objects.all(), {}),
    "a slice": lambda: (Account.objects.order_by("pk")[:2], {"balance": 1}),
    "distinct": lambda: (Account.objects.distinct("owner"), {"balance": 1}),
    "no such field": lambda: (Account.objects.all(), {"nope": 1}),
    "a joined F expression": lambda: (Entry.objects.all(), {"amount": F("account__balance")}),
    "a union": lambda: (Account.objects.union(Account.objects.all()), {"balance": 1}),
    "twice the same": lambda: (Account.objects.all(), {"owner": "same"}),
    "out of range": lambda: (Account.objects.all(), {"balance": 2**31}),
}
UPDATE_ERRORS = {
    "a joined F expression": FieldError,
    "a slice": TypeError,
    "a union": NotSupportedError,
    "distinct": TypeError if django.VERSION >= (6, 1) else None,
    "no such field": FieldDoesNotExist,
    "out of range": DataError,
    "twice the same": IntegrityError,
}


@pytest.mark.parametrize("case", UPDATES)
def test_aupdate(case, play):
    async def steps(orm):
        queryset, kwargs = UPDATES[case]()
        return await orm.call(queryset, "update", **kwargs)

    play(steps, given=accounts_with_entries, raises=UPDATE_ERRORS.get(case))


UPDATES_OF_A_CHILD = {
    "own field": {"armband": "right"},
    "parent's field": {"rank": F("rank") + 1},
    "both": {"armband": "right", "name": "the captain", "team": None},
}


@pytest.mark.parametrize("case", UPDATES_OF_A_CHILD)
def test_aupdate_of_a_child_with_a_table_of_its_own(case, play):
    async def steps(orm):
        queryset = Captain.objects.filter(name__startswith="c")
        return await orm.call(queryset, "update", **UPDATES_OF_A_CHILD[case])

    play(steps, given=teams)


def test_aupdate_forgets_the_results_at_hand(play):
    async def steps(orm):
        queryset = Account.objects.order_by("pk")
        before = await orm.list(queryset)
        rows = await orm.call(queryset, "update", balance=3)
        return before, rows, await orm.list(queryset)

    play(steps, given=accounts)


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


# aget_or_create() and aupdate_or_create()


def by_call():
    return 42


GET_OR_CREATE = {
    "is there": {"owner": "Ada"},
    "is there, with defaults": {"owner": "Ada", "defaults": {"balance": 5}},
    "is new": {"owner": "Eve"},
    "is new, with defaults": {"owner": "Eve", "defaults": {"balance": 5}},
    "is new, with a callable": {"owner": "Eve", "defaults": {"balance": by_call}},
    "by lookup": {"owner__iexact": "eve", "defaults": {"owner": "Eve"}},
    "by lookup, is there": {"owner__iexact": "ada", "defaults": {"owner": "Eve"}},
    "an exact lookup in the defaults": {"owner": "Eve", "defaults": {"balance__exact": 3}},
}


@pytest.mark.parametrize("case", GET_OR_CREATE)
def test_aget_or_create(case, play):
    async def steps(orm):
        return await orm.call(Account.objects, "get_or_create", **GET_OR_CREATE[case])

    error = FieldError if case == "an exact lookup in the defaults" else None
    play(steps, given=accounts, raises=error)


UPDATE_OR_CREATE = {
    "is there": {"owner": "Ada", "defaults": {"balance": 5}},
    "is there, nothing to update": {"owner": "Ada"},
    "is there, with a callable": {"owner": "Ada", "defaults": {"balance": by_call}},
    "is there, with create_defaults": {
        "owner": "Ada",
        "defaults": {"balance": 5},
        "create_defaults": {"balance": 6},
    },
    "is new": {"owner": "Eve", "defaults": {"balance": 5}},
    "is new, with a callable": {"owner": "Eve", "defaults": {"balance": by_call}},
    "is new, with create_defaults": {
        "owner": "Eve",
        "defaults": {"balance": 5},
        "create_defaults": {"balance": 6},
    },
    "another's name": {"owner": "Ada", "defaults": {"owner": "Bo"}},
}


@pytest.mark.parametrize("case", UPDATE_OR_CREATE)
def test_aupdate_or_create(case, play):
    async def steps(orm):
        return await orm.call(Account.objects, "update_or_create", **UPDATE_OR_CREATE[case])

    play(steps, given=accounts, raises=IntegrityError if case == "another's name" else None)


@pytest.mark.parametrize("method", ["get_or_create", "update_or_create"])
@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"balance__gte": 0}, Account.MultipleObjectsReturned),
        ({"nope": 1}, FieldError),
        ({"owner": "Eve", "defaults": {"nope": 1}}, FieldError),
        ({"owner": "Eve", "balance": 2**31 - 1, "defaults": {"owner": "Ada"}}, IntegrityError),
        ({"owner": "Eve", "defaults": {"balance": None}}, IntegrityError),
    ],
)
def test_get_or_create_errors(method, kwargs, error, play):
    async def steps(orm):
        await orm.call(Account.objects, method, **kwargs)

    play(steps, given=accounts, raises=error)


def test_get_or_create_in_a_transaction_leaves_it_usable(play):
    async def steps(orm):
        async with orm.atomic():
            try:
                await orm.call(Account.objects, "get_or_create", owner="Eve", defaults={"pk": 1})
            except IntegrityError:
                return await orm.call(Account.objects, "count")

    assert play(steps, given=accounts)["returned"] == (int, 4)


@pytest.mark.parametrize("method", ["get_or_create", "update_or_create"])
def test_a_row_that_another_client_inserts_meanwhile_is_found(method, run, tables):
    insert = "INSERT INTO library_account (owner, balance) VALUES ('Eve', 1)"
    question = {"owner": "Eve", "defaults": {"balance": 9}}

    def ask():
        try:
            return fingerprint(getattr(Account.objects, method)(**question))
        finally:
            connections.close_all()

    empty("default")
    with Rival(insert) as rival, ThreadPoolExecutor() as pool:
        asked = pool.submit(ask)
        while not rival.is_waited_for():
            time.sleep(0.01)
        rival.commit()
        expected = asked.result()

    async def race():
        asked = separate_task(getattr(Account.objects, f"a{method}")(**question))
        await until(rival.is_waited_for)
        rival.commit()
        return fingerprint(await asked)

    empty("default")
    with Rival(insert) as rival:
        assert run(race) == expected
    assert Account.objects.count() == 1


# select_for_update()


def test_select_for_update_in_a_transaction(play):
    async def steps(orm):
        async with orm.atomic():
            locked = Account.objects.select_for_update().order_by("pk")
            account = await orm.call(locked, "get", owner="Ada")
            account.balance += 5
            await orm.call(account, "save")
            others = await orm.list(locked.filter(pk__gt=1))
            skipped = await orm.call(
                Account.objects.select_for_update(skip_locked=True, of=("self",)), "count"
            )
        return account, others, skipped

    answer = play(steps, given=accounts)
    assert any("FOR UPDATE" in statement for statement in answer["statements"])


@pytest.mark.parametrize("method", ["get", "first"])
def test_select_for_update_outside_a_transaction(method, play):
    async def steps(orm):
        await orm.call(Account.objects.filter(pk=1).select_for_update(), method)

    play(steps, given=accounts, raises=TransactionManagementError)


def test_select_for_update_locks(scratch, run):
    accounts()

    async def second(locked, order):
        async with async_atomic():
            await locked.wait()
            account = await Account.objects.select_for_update().aget(owner="Ada")
            order.append(("second", account.balance))

    async def race():
        locked, order = asyncio.Event(), []
        waiting = separate_task(second(locked, order))
        async with async_atomic():
            account = await Account.objects.select_for_update().aget(owner="Ada")
            locked.set()
            account.balance = 500
            await asyncio.sleep(0.05)
            await account.asave()
            order.append(("first", 500))
        await waiting
        return order

    assert run(race) == [("first", 500), ("second", 500)]


# Instances


def test_asave(play):
    async def steps(orm):
        new = Account(owner="Eve")
        await orm.call(new, "save")
        new.balance = F("balance") + 1
        await orm.call(new, "save", update_fields=["balance"])
        there = await orm.call(Account.objects.only("owner"), "get", owner="Ada")
        there.owner = "Ada II"
        await orm.call(there, "save")
        copy = Account(pk=there.pk, owner="Ada III")
        await orm.call(copy, "save")
        return there, copy, new.pk

    play(steps, given=accounts)


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"force_insert": True}, IntegrityError),
        ({"force_update": True}, None),
        ({"force_insert": True, "force_update": True}, ValueError),
        ({"update_fields": ["nope"]}, ValueError),
        ({"update_fields": []}, None),
        ({"using": "default"}, None),
    ],
)
def test_asave_options(kwargs, error, play):
    async def steps(orm):
        account = Account(pk=1, owner="Ada IV", balance=7)
        await orm.call(account, "save", **kwargs)
        return account

    play(steps, given=accounts, raises=error)


def test_asave_of_a_row_that_is_gone(play):
    async def steps(orm):
        await orm.call(Account(pk=99, owner="x"), "save", force_update=True)

    play(steps, raises=DatabaseError)


def test_asave_of_an_unsaved_foreign_key(play):
    async def steps(orm):
        await orm.call(Entry(account=Account(owner="x"), amount=1), "save")

    play(steps, raises=ValueError)


def test_asave_of_a_child_with_a_table_of_its_own(play):
    async def steps(orm):
        captain = Captain(name="c", armband="left")
        await orm.call(captain, "save")
        captain.rank, captain.armband = 8, "right"
        await orm.call(captain, "save")
        return captain

    play(steps)


def test_asave_reads_back_what_the_database_worked_out(play):
    async def steps(orm):
        ticket = Ticket(price=4)
        await orm.call(ticket, "save")
        ticket.price = 5
        await orm.call(ticket, "save")
        doubled = ticket.__dict__.get("doubled")
        await orm.call(ticket, "refresh_from_db")
        return doubled, ticket

    play(steps)


def test_adelete_of_an_instance(play):
    async def steps(orm):
        account = await orm.call(Account.objects, "get", owner="Ada")
        counts = await orm.call(account, "delete")
        return counts, account

    play(steps, given=accounts_with_entries)


def test_adelete_of_an_instance_with_relations(play):
    async def steps(orm):
        captain = await orm.call(Captain.objects, "get")
        parent_stays = await orm.call(captain, "delete", keep_parents=True)
        player = await orm.call(Player.objects, "get", name="player 3")
        return parent_stays, await orm.call(player, "delete"), player

    play(steps, given=teams)


def test_adelete_of_an_unsaved_instance(play):
    async def steps(orm):
        await orm.call(Account(owner="x"), "delete")

    play(steps, raises=ValueError)


def test_an_overridden_delete_that_queries_is_called(play):
    def given():
        for title in "abc":
            Article.objects.create(title=title)

    async def steps(orm):
        article = await orm.call(Article.objects, "get", title="a")
        return await orm.call(article, "delete")

    answer = play(steps, given=given)
    assert answer["tables"]["library_article"] == [(2, "b", 1), (3, "c", 2)]


REFRESHES = {
    "all": {},
    "some": {"fields": ["balance"]},
    "no such field": {"fields": ["nope"]},
    "by a queryset": {"from_queryset": Account.objects.filter(balance__gt=0)},
    "using": {"using": "default"},
}


@pytest.mark.parametrize("case", REFRESHES)
def test_arefresh_from_db(case, play):
    async def steps(orm):
        account = await orm.call(Account.objects.defer("balance"), "get", owner="Bo")
        await orm.call(Account.objects.all(), "update", balance=11)
        account.owner = "changed"
        await orm.call(account, "refresh_from_db", **REFRESHES[case])
        return account

    error = FieldDoesNotExist if case == "no such field" else None
    play(steps, given=accounts_with_entries, raises=error)


def test_arefresh_from_db_of_a_row_that_is_gone(play):
    async def steps(orm):
        await orm.call(Account(pk=99), "refresh_from_db")

    play(steps, raises=Account.DoesNotExist)


def test_arefresh_from_db_forgets_cached_relations(play):
    async def steps(orm):
        entry = await orm.call(Entry.objects.select_related("account"), "get", amount=0)
        await orm.call(Account.objects.all(), "update", balance=1000)
        await orm.call(entry, "refresh_from_db")
        return entry, "account" in entry._state.fields_cache

    play(steps, given=accounts_with_entries)


def test_async_methods_that_a_model_defines_itself_stay(scratch, run):
    async def steps():
        diary = Diary(text="today")
        assert await diary.adelete() == "kept"
        return Diary.asave, Diary.adelete

    asave, adelete = run(steps)
    assert asave is vars(Diary)["asave"]
    assert adelete is vars(Diary)["adelete"]


def test_super_asave_in_a_method_of_ones_own_starts_no_thread(scratch, run):
    async def steps():
        diary = Diary(text="today")
        await diary.asave()
        return diary

    assert run(steps).text == "today (saved)"
    assert Diary.objects.get().text == "today (saved)"


# Related managers


def player(orm, number):
    return orm.call(Player.objects, "get", name=f"player {number}")


async def skills_named(orm, *names):
    return await orm.list(Skill.objects.filter(name__in=names).order_by("pk"))


def test_reverse_foreign_key_aadd(play):
    async def steps(orm):
        team = await orm.call(Team.objects, "get", name="blue")
        added = [await player(orm, 0), await player(orm, 2)]
        await orm.call(team.players, "add", *added)
        await orm.call(team.players, "add", Player(name="new"), bulk=False)
        return added, await orm.list(team.players.order_by("pk"))

    play(steps, given=teams)


def test_reverse_foreign_key_acreate(play):
    async def steps(orm):
        team = await orm.call(Team.objects, "get", name="blue")
        return await orm.call(team.players, "create", name="new", rank=3)

    play(steps, given=teams)


@pytest.mark.parametrize("method", ["get_or_create", "update_or_create"])
def test_reverse_foreign_key_aget_or_create(method, play):
    async def steps(orm):
        team = await orm.call(Team.objects, "get", name="blue")
        old = await orm.call(team.players, method, name="player 1", defaults={"rank": 50})
        new = await orm.call(team.players, method, name="player 0", defaults={"rank": 60})
        return old, new

    play(steps, given=teams)


@pytest.mark.parametrize("kwargs", [{}, {"bulk": False}])
def test_reverse_foreign_key_aremove_aclear_aset(kwargs, play):
    async def steps(orm):
        team = await orm.call(Team.objects, "get", name="red")
        first = await player(orm, 0)
        await orm.call(team.players, "remove", first, **kwargs)
        after_removal = await orm.call(team.players, "count")
        await orm.call(team.players, "set", [await player(orm, 1), first], **kwargs)
        after_set = await orm.list(team.players.order_by("pk"))
        await orm.call(team.players, "clear", **kwargs)
        return first, after_removal, after_set, await orm.call(team.players, "count")

    play(steps, given=teams)


def test_reverse_foreign_key_aset_with_clear(play):
    async def steps(orm):
        team = await orm.call(Team.objects, "get", name="red")
        await orm.call(team.players, "set", [await player(orm, 1)], clear=True)

    play(steps, given=teams)


def test_reverse_foreign_key_abulk_create(play):
    async def steps(orm):
        team = await orm.call(Team.objects, "get", name="red")
        objs = [Player(name="x", team=team), Player(name="y", team=team)]
        return await orm.call(team.players, "bulk_create", objs)

    play(steps, given=teams)


REVERSE_ERRORS = {
    "of another class": ("add", lambda: Skill(name="x"), TypeError),
    "unsaved": ("add", lambda: Player(name="x"), ValueError),
    "not of this team": ("remove", lambda: Player(pk=2, team_id=2), ObjectDoesNotExist),
}


@pytest.mark.parametrize("case", REVERSE_ERRORS)
def test_reverse_foreign_key_errors(case, play):
    method, make, error = REVERSE_ERRORS[case]

    async def steps(orm):
        team = await orm.call(Team.objects, "get", name="red")
        await orm.call(team.players, method, make())

    play(steps, given=teams, raises=error)


def test_the_manager_of_an_unsaved_instance(play):
    async def steps(orm):
        await orm.call(Team(name="new").players, "create", name="x")

    play(steps, raises=ValueError)


def test_many_to_many_aadd(play):
    async def steps(orm):
        first = await player(orm, 0)
        run_, shoot = await skills_named(orm, "run", "shoot")
        with receivers(m2m_changed) as told:
            await orm.call(first.skills, "add", run_, shoot.pk)
            await orm.call(first.skills, "add", run_)
        return told, await orm.list(first.skills.order_by("pk"))

    play(steps, given=teams)


def test_many_to_many_acreate(play):
    async def steps(orm):
        first = await player(orm, 0)
        return await orm.call(first.skills, "create", name="header")

    play(steps, given=teams)


@pytest.mark.parametrize("method", ["get_or_create", "update_or_create"])
def test_many_to_many_aget_or_create(method, play):
    async def steps(orm):
        third = await player(orm, 3)
        old = await orm.call(third.skills, method, name="pass")
        new = await orm.call(third.skills, method, name="header")
        return old, new, await orm.list(third.skills.order_by("pk"))

    play(steps, given=teams)


def test_many_to_many_aset_aremove_aclear(play):
    async def steps(orm):
        third = await player(orm, 3)
        pass_, shoot = await skills_named(orm, "pass", "shoot")
        with receivers(m2m_changed) as told:
            await orm.call(third.skills, "remove", pass_)
            await orm.call(third.skills, "set", [pass_, shoot])
            await orm.call(third.skills, "set", [shoot], clear=True)
            counted = await orm.call(third.skills, "count")
            await orm.call(third.skills, "clear")
        return told, counted, await orm.call(third.skills, "exists")

    play(steps, given=teams)


def test_many_to_many_from_the_far_side(play):
    async def steps(orm):
        (shoot,) = await skills_named(orm, "shoot")
        await orm.call(shoot.players, "add", await player(orm, 0))
        await orm.call(shoot.players, "remove", await player(orm, 3))
        return await orm.list(shoot.players.order_by("pk"))

    play(steps, given=teams)


def test_many_to_many_through_a_model_of_ones_own(play):
    async def steps(orm):
        first, second = await player(orm, 0), await player(orm, 1)
        await orm.call(first.mentors, "add", second, through_defaults={"hours": 9})
        made = await orm.call(first.mentors, "create", name="x", through_defaults={"hours": 2})
        await orm.call(second.mentors, "set", [first], through_defaults={"hours": 4})
        return made, await orm.list(first.mentors.order_by("pk"))

    play(steps, given=teams)


def test_generic_relation(play):
    async def steps(orm):
        first = await player(orm, 0)
        made = await orm.call(first.comments, "create", text="made")
        found = await orm.call(first.comments, "get_or_create", text="made")
        other = await orm.call(
            first.comments, "update_or_create", text="made", defaults={"text": "changed"}
        )
        stolen = await orm.call(Comment.objects, "get", text="on 1")
        await orm.call(first.comments, "add", stolen)
        await orm.call(first.comments, "remove", stolen)
        await orm.call(first.comments, "set", [made])
        left = await orm.list(first.comments.order_by("pk"))
        await orm.call(first.comments, "clear")
        return made, found, other, left, await orm.call(first.comments, "count")

    play(steps, given=teams)


def test_the_target_of_a_generic_foreign_key(play):
    async def steps(orm):
        ContentType.objects.clear_cache()
        first = await player(orm, 0)
        made = await orm.call(Comment.objects, "create", text="x", target=first)
        return made, await orm.list(Comment.objects.order_by("pk").prefetch_related("target"))

    play(steps, given=teams)


def test_writing_through_a_prefetched_relation_forgets_it(play):
    async def steps(orm):
        team = await orm.call(Team.objects.prefetch_related("players"), "get", name="red")
        before = await orm.list(team.players.all())
        await orm.call(team.players, "create", name="new")
        return before, await orm.list(team.players.order_by("pk"))

    play(steps, given=teams)
