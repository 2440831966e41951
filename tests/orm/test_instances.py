"""The async methods of instances, against Django's sync ones."""

import copy

import django
import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, IntegrityError, NotSupportedError
from django.db.models import Count, F, Value
from django.db.transaction import TransactionManagementError

from tests.library.fields import Lettered
from tests.library.models import Account, Article, Captain, Diary, Entry, Player, Ticket
from tests.library.options import Booking, Ledger
from tests.support.givens import accounts, accounts_with_entries, teams


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


@pytest.mark.skipif(django.VERSION < (6, 0), reason="the exception came with 6.0")
def test_asave_of_a_row_that_is_gone_raises_the_models_exception(play):
    async def steps(orm):
        await orm.call(Account(pk=99, owner="x"), "save", update_fields=["owner"])

    play(steps, raises=Account.NotUpdated)


LEDGERS = {
    "is there": (Ledger(pk=1, name="b", total=2), {}, None),
    "is not there": (Ledger(pk=7, name="b", total=2), {}, None),
    "has no key": (Ledger(name="b", total=2), {}, None),
    "some fields": (Ledger(pk=1, name="b", total=2), {"update_fields": ["total"]}, None),
    "some fields, is not there": (Ledger(pk=7), {"update_fields": ["total"]}, DatabaseError),
    "by force": (Ledger(pk=7), {"force_update": True}, DatabaseError),
    "inserted by force": (Ledger(pk=1), {"force_insert": True}, IntegrityError),
}


@pytest.mark.parametrize("case", LEDGERS)
def test_asave_that_selects_first(case, play):
    example, kwargs, error = LEDGERS[case]

    async def steps(orm):
        ledger = copy.deepcopy(example)
        await orm.call(ledger, "save", **kwargs)
        return ledger

    def given():
        Ledger.objects.create(name="a", total=1)

    play(steps, given=given, raises=error)


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


CAPTAINS = {
    "as a whole": ({}, None),
    "of the parent": ({"update_fields": ["rank"]}, None),
    "of the child": ({"update_fields": ["armband"]}, None),
    "of both": ({"update_fields": ["rank", "armband"]}, None),
    "of neither": ({"update_fields": []}, None),
    "by force": ({"force_update": True}, None),
    "inserted by force": ({"force_insert": True}, IntegrityError),
    "the parent inserted by force": ({"force_insert": (Player,)}, IntegrityError),
    "the child inserted by force": ({"force_insert": (Captain,)}, IntegrityError),
    "a stranger inserted by force": ({"force_insert": (Account,)}, TypeError),
}


@pytest.mark.parametrize("case", CAPTAINS)
def test_asave_options_of_a_child_with_a_table_of_its_own(case, play):
    kwargs, error = CAPTAINS[case]

    async def steps(orm):
        captain = await orm.call(Captain.objects, "get")
        captain.rank, captain.armband = 8, "right"
        await orm.call(captain, "save", **kwargs)
        return captain

    play(steps, given=teams, raises=error)


PROMOTIONS = [{}, {"force_insert": True}, {"force_insert": (Player,)}, {"raw": True}]


@pytest.mark.parametrize("kwargs", PROMOTIONS, ids=str)
def test_a_parent_becomes_a_child(kwargs, play):
    async def steps(orm):
        player = await orm.call(Player.objects, "get", name="player 1")
        captain = Captain(player_ptr=player, armband="new")
        captain.__dict__.update(name="promoted", rank=3, team_id=player.team_id)
        if "raw" in kwargs:
            await orm.run(lambda: captain.save_base(raw=True))
        else:
            await orm.call(captain, "save", **kwargs)
        return captain

    error = IntegrityError if kwargs == {"force_insert": (Player,)} else None
    play(steps, given=teams, raises=error)


def test_adelete_of_a_child_from_its_parent(play):
    async def steps(orm):
        player = await orm.call(Player.objects, "get", name="captain")
        counts = await orm.call(player, "delete")
        return counts, player, await orm.call(Captain.objects, "count")

    play(steps, given=teams)


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


TICKETS = {
    "the default": (Ticket(price=4), {}),
    "a value in place of the default": (Ticket(price=4, number=1), {}),
    "an expression": (Ticket(price=Value(4) + 1), {}),
    "a default that is updated": (Ticket(pk=1, price=4), {}),
    "some fields": (Ticket(pk=1, price=4, number=1), {"update_fields": ["price"]}),
    "the default again": (Ticket(pk=1, price=4), {"update_fields": ["number"]}),
    "inserted by force": (Ticket(pk=2, price=4), {"force_insert": True}),
}


@pytest.mark.parametrize("case", TICKETS)
def test_asave_of_what_the_database_works_out(case, play):
    example, kwargs = TICKETS[case]

    async def steps(orm):
        ticket = copy.deepcopy(example)
        await orm.call(ticket, "save", **kwargs)
        as_saved = dict(ticket.__dict__)
        await orm.call(ticket, "refresh_from_db", fields=["price", "number", "doubled"])
        return as_saved, ticket

    def given():
        Ticket.objects.create(price=1, number=2)

    play(steps, given=given)


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
    "by a queryset that has it not": {"from_queryset": Account.objects.filter(balance__lt=0)},
    "by a queryset that defers": {"from_queryset": Account.objects.only("owner")},
    "by a queryset that annotates": {
        "from_queryset": Account.objects.annotate(n=Count("entries"))
    },
    "by a locked queryset": {"from_queryset": Account.objects.select_for_update()},
    "by a queryset of dicts": {"from_queryset": Account.objects.values()},
    "by a combined queryset": {
        "from_queryset": Account.objects.filter(pk=1).union(Account.objects.filter(pk=2))
    },
    "some by a queryset": {"from_queryset": Account.objects.all(), "fields": ["balance"]},
    "using": {"using": "default"},
}
REFUSED_REFRESHES = {
    "no such field": FieldDoesNotExist,
    "by a queryset that has it not": Account.DoesNotExist,
    "by a locked queryset": TransactionManagementError,
    "by a queryset of dicts": TypeError,
    "by a combined queryset": NotSupportedError,
}


@pytest.mark.parametrize("case", REFRESHES)
def test_arefresh_from_db(case, play):
    async def steps(orm):
        account = await orm.call(Account.objects.defer("balance"), "get", owner="Bo")
        await orm.call(Account.objects.all(), "update", balance=11)
        account.owner = "changed"
        await orm.call(account, "refresh_from_db", **REFRESHES[case])
        return account

    play(steps, given=accounts_with_entries, raises=REFUSED_REFRESHES.get(case))


def test_arefresh_from_db_by_a_queryset_with_related_instances(play):
    async def steps(orm):
        entry = await orm.call(Entry.objects, "get", amount=0)
        await orm.call(Account.objects.all(), "update", balance=1000)
        related = Entry.objects.select_related("account").prefetch_related("account__entries")
        await orm.call(entry, "refresh_from_db", from_queryset=related)
        return entry, entry.account

    play(steps, given=accounts_with_entries)


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


ABOUT_AN_INSTANCE = {
    "its key": lambda a: (a.pk, a.serializable_value("pk"), a.serializable_value("owner")),
    "what is deferred": lambda a: a.get_deferred_fields(),
    "its constraints": lambda _: len(Booking(pk=1).get_constraints()[0][1]),
    "clean": lambda a: a.clean(),
    "a choice": lambda _: (
        Booking(room=2).get_room_display(),
        Lettered(suit="s").get_suit_display(),
        Lettered(suit="x").get_suit_display(),
    ),
    "messages": lambda a: (
        str(a.unique_error_message(Account, ("owner",)).messages),
        str(Booking().date_error_message("month", "title", "day").messages),
    ),
    "as a value of a query": lambda a: a.prepare_database_save(Entry._meta.get_field("account")),
    "made of a row": lambda _: Account.from_db("default", ["id", "owner"], [1, "Ada"]),
    "checks": lambda _: (Account.check(), Booking.check(databases=None)),
}


@pytest.mark.parametrize("case", ABOUT_AN_INSTANCE)
def test_what_an_instance_knows_of_itself_is_asked_in_the_event_loop_too(case, play):
    async def steps(orm):
        return ABOUT_AN_INSTANCE[case](await orm.call(Account.objects.only("owner"), "get", pk=1))

    play(steps, given=accounts)
