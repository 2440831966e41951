"""Deletion, against Django's: cascades, signals, and what is in the tables after."""

import pytest
from django.db.models import ProtectedError
from django.db.models.signals import post_delete, pre_delete

from tests.library.models import Account, Captain, Comment, Contract, Entry, Player, Skill, Team
from tests.support.givens import accounts_with_entries, receivers, teams

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
