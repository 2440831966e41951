"""The async methods of instances, against Django's sync ones."""

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, IntegrityError
from django.db.models import F

from tests.givens import accounts, accounts_with_entries, teams
from tests.library.models import Account, Article, Captain, Diary, Entry, Player, Ticket


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
