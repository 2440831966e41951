"""Related managers by cached statements: what they do is Django's, be it a hit or not."""

from contextlib import contextmanager
from unittest import mock

import django
import pytest
from django.db import IntegrityError
from django.db.models.signals import m2m_changed, pre_delete

from tests.library.models import Account, Author, Book, Entry, Player, Skill, Team
from tests.support.answers import fingerprint
from tests.support.givens import accounts_with_entries, receivers, teams
from tests.support.routers import Router, routed
from tests.support.scenario import DjangoPlayer, TurboPlayer, contents, without_loop
from tests.support.tables import empty
from turbo_orm import AsyncManager, async_atomic, bridge, cache_info
from turbo_orm.orm.plain_managers import has_plain_class

SKILLS = ["pass", "run", "shoot"]


async def players(orm):
    return await orm.list(Player.objects.order_by("pk"))


async def skills(orm):
    return await orm.list(Skill.objects.order_by("pk"))


async def unordered(orm, rows):
    """Return rows that no order is asked for: where they are in the table is the server's."""
    return sorted(await orm.list(rows), key=lambda row: row.pk)


# Each step is taken three times: the third time its statements are hits.


async def team_steps(orm, turn):
    red = await orm.call(Team.objects, "get", name="red")
    blue = await orm.call(Team.objects, "get", name="blue")
    first, second, third, *_ = await players(orm)
    await orm.call(red.players, "add", first, third)
    await orm.call(blue.players, "add", first)
    await orm.call(blue.players, "remove", first)
    await orm.call(red.players, "set", [first, second])
    await orm.call(blue.players, "set", (third, first), clear=True)
    await orm.call(red.players, "clear")
    made = await orm.call(red.players, "create", name=f"new {turn}", rank=turn)
    found = (
        await orm.list(red.players.order_by("pk")[:2]),
        await unordered(orm, blue.players.all()),
        await unordered(orm, blue.players.filter(rank__gte=turn).exclude(name="x")),
        await orm.call(blue.players, "count"),
        await orm.call(red.players, "exists"),
        await orm.call(red.players, "get", name=f"new {turn}"),
        await orm.call(blue.players.order_by("-rank"), "first"),
    )
    return first, second, third, made, found


async def skill_steps(orm, turn):
    first, second, third, *_ = await players(orm)
    pass_, run_, shoot = await skills(orm)
    await orm.call(first.skills, "add", pass_)
    await orm.call(first.skills, "add", run_.pk, shoot)
    await orm.call(first.skills, "add", run_)
    await orm.call(first.skills, "add")
    await orm.call(shoot.players, "add", second, third.pk)
    await orm.call(shoot.players, "remove", second)
    await orm.call(first.skills, "remove", pass_, shoot.pk)
    await orm.call(first.skills, "remove")
    await orm.call(second.skills, "set", [shoot, pass_.pk])
    await orm.call(second.skills, "set", [shoot])
    await orm.call(second.skills, "set", [run_], clear=True)
    await orm.call(third.skills, "clear")
    found = (
        await orm.list(first.skills.order_by("pk")),
        await unordered(orm, second.skills.all()),
        await orm.call(third.skills, "count"),
        await orm.call(first.skills, "exists"),
    )
    made = await orm.call(third.skills, "create", name=f"new {turn}")
    await orm.call(made, "delete")
    return found


async def friend_steps(orm, turn):
    first, second, third, *_ = await players(orm)
    await orm.call(first.mentors, "add", second, through_defaults={"hours": turn})
    await orm.call(first.mentors, "set", [third])
    await orm.call(first.mentors, "remove", third)
    return await unordered(orm, first.mentors.all())


STEPS = {"foreign key": team_steps, "many-to-many": skill_steps, "through": friend_steps}


def three_times(steps):
    async def all_steps(orm):
        return [await steps(orm, turn) for turn in range(3)]

    return all_steps


@pytest.mark.parametrize("case", STEPS)
def test_what_is_done_is_djangos(case, play):
    play(three_times(STEPS[case]), given=teams)


@pytest.mark.parametrize("case", STEPS)
def test_it_is_so_in_a_transaction(case, play):
    async def steps(orm):
        async with orm.atomic():
            found = await three_times(STEPS[case])(orm)
            async with orm.atomic():
                await STEPS[case](orm, 7)
        return found

    play(steps, given=teams)


@pytest.mark.parametrize("case", STEPS)
def test_it_is_so_where_no_statement_is_logged(case, scratch, run):
    """Statements that are logged are executed by Django's cursors."""

    def played(play):
        empty("default")
        teams()
        return fingerprint(play()), contents()

    steps = three_times(STEPS[case])
    expected = played(without_loop(lambda _: steps(DjangoPlayer())))
    assert played(lambda: run(lambda: steps(TurboPlayer()))) == expected


@contextmanager
def without_django():
    """Have an assertion fail where anything is called on the bridge."""

    async def forbidden(*args, **kwargs):
        raise AssertionError("it is called on the bridge")

    with mock.patch.multiple(bridge, run=forbidden):
        yield


@pytest.mark.parametrize("case", ["foreign key", "many-to-many"])
def test_all_are_hits_without_the_bridge(case, scratch, run):
    teams()

    Account.objects.create(owner="Ada")

    async def once():
        first, second, third, *_ = await Player.objects.order_by("pk").alist()
        pass_, run_, shoot, *_ = await Skill.objects.order_by("pk").alist()
        account = await Account.objects.aget(owner="Ada")
        red = await Team.objects.aget(name="red")
        # Until 6.0, Django fetches a deferred key to set what a related manager knows.
        on_bridge = case == "foreign key" and django.VERSION < (6, 1)
        with as_ever() if on_bridge else without_django():
            if case == "foreign key":
                await red.players.aadd(first, third)
                await red.players.aset([first, second])
                await red.players.aremove(first)
                await red.players.order_by("pk")[:2].alist()
                await red.players.aclear()
                await account.entries.acreate(amount=1)
            else:
                await first.skills.aadd(pass_)
                await first.skills.aadd(run_, shoot)
                await first.skills.aremove(pass_)
                await first.skills.aset([pass_, run_])
                await first.skills.aset([shoot], clear=True)
                await first.skills.order_by("pk")[:2].alist()
                await first.skills.aclear()
                await first.skills.acreate(name=f"made {await Skill.objects.acount()}")

    async def ask():
        with mock.patch("tests.orm.test_related_writes.without_django", as_ever):
            for _ in range(3):
                await once()
        before = cache_info()
        await once()
        after = cache_info()
        return after.misses - before.misses, after.bypasses == before.bypasses

    assert run(ask) == (0, True)


@contextmanager
def as_ever():
    yield


# What Django does by itself


def test_receivers_of_m2m_changed(play):
    async def steps(orm):
        with receivers(m2m_changed) as told:
            await three_times(skill_steps)(orm)
        await skill_steps(orm, 3)
        return told

    play(steps, given=teams)


def test_receivers_of_deletions(play):
    async def steps(orm):
        await three_times(skill_steps)(orm)
        with receivers(pre_delete) as told:
            await skill_steps(orm, 3)
        return told

    play(steps, given=teams)


ERRORS = {
    "another class": (Team, "players", lambda: [Skill(name="x")], TypeError),
    "unsaved": (Team, "players", lambda: [Player(name="x")], (TypeError, ValueError)),
    "another class, linked": (Player, "skills", lambda: [Team(pk=1)], TypeError),
    "unsaved, linked": (Player, "skills", lambda: [Skill(name="x")], ValueError),
    "no key": (Player, "skills", lambda: ["x"], ValueError),
    "a key of no row": (Player, "skills", lambda: [99], IntegrityError),
    "keys of no rows": (Player, "skills", lambda: [98, 99], IntegrityError),
    "too large a key": (Player, "skills", lambda: [2**63], Exception),
    "too large keys": (Player, "skills", lambda: [2**70, 1], Exception),
}


@pytest.mark.parametrize("method", ["add", "set"])
@pytest.mark.parametrize("case", ERRORS)
def test_errors(case, method, play):
    model, relation, make, error = ERRORS[case]

    async def steps(orm):
        owner = await orm.call(model.objects, "get", pk=1)
        related = getattr(owner, relation)
        existing = await orm.list(related.model.objects.order_by("pk")[:2])
        for _ in range(3):
            await orm.call(related, "add", *existing)
        given = make()
        await orm.call(getattr(owner, relation), method, *([given] if method == "set" else given))

    play(steps, given=teams, raises=error)


def test_an_error_breaks_the_block_around(play):
    async def steps(orm):
        first, *_ = await players(orm)
        for _ in range(3):
            await orm.call(first.skills, "add", 1)
        try:
            async with orm.atomic():
                await orm.call(first.skills, "add", 1)
                await orm.call(first.skills, "add", "x")
        except ValueError:
            return await orm.list(first.skills.all())

    play(steps, given=teams)


def test_an_instance_of_another_team_is_not_removed(play):
    async def steps(orm):
        red = await orm.call(Team.objects, "get", name="red")
        _, second, *_ = await players(orm)
        await orm.call(red.players, "remove", second)

    play(steps, given=teams, raises=Team.DoesNotExist)


def test_what_was_prefetched_is_forgotten(play):
    async def steps(orm):
        found = []
        for turn in range(3):
            red = await orm.call(
                Team.objects.prefetch_related("players__skills"), "get", name="red"
            )
            first, *_ = await orm.list(red.players.all())
            await orm.call(first.skills, "add", turn + 1)
            await orm.call(red.players, "remove", first)
            found.append(
                (await orm.list(first.skills.order_by("pk")), await orm.list(red.players.all()))
            )
            await orm.call(red.players, "add", first)
        return found

    play(steps, given=teams)


def test_an_instance_whose_key_changes(play):
    async def steps(orm):
        red = await orm.call(Team.objects, "get", name="red")
        found = []
        for _ in range(3):
            related = red.players.all()
            # Django compares with the key that there is when the query is executed.
            red.pk = 2
            found.append(await orm.list(related))
            red.pk = 1
            found.append(await orm.list(red.players.order_by("pk")))
        red.pk = 2**70
        found.append(await orm.list(red.players.order_by("pk")))
        return [[each.name for each in found_] for found_ in found]

    play(steps, given=teams)


def test_one_to_many_that_may_not_be_null(play):
    async def steps(orm):
        account = await orm.call(Account.objects, "get", owner="Ada")
        found = []
        for turn in range(3):
            entry = await orm.call(account.entries, "create", amount=turn)
            other = await orm.call(Entry.objects, "get", pk=2)
            await orm.call(account.entries, "set", [entry, other])
            found.append(await orm.list(account.entries.order_by("pk")))
        return found

    play(steps, given=accounts_with_entries)


def test_routers_are_asked_as_often(play):
    async def routed_steps(orm, turn):
        with routed(router := Router()):
            await team_steps(orm, turn)
            await skill_steps(orm, turn)
        asked[-1].append(router.asked)

    async def steps(orm):
        asked.append([])
        await three_times(routed_steps)(orm)

    asked = []
    play(steps, given=teams)
    assert asked[0] == asked[1]


class Overriding(AsyncManager):
    def create(self, **kwargs):
        return super().create(**{**kwargs, "rank": 77})


class Filtering(AsyncManager):
    def get_queryset(self):
        return super().get_queryset().filter(rank__gt=1)


@pytest.mark.parametrize("manager", [Overriding, Filtering])
def test_a_manager_of_ones_own(manager, play):
    with default_manager(Player, manager):
        assert not has_plain_class(Team.players.related_manager_cls)
        play(three_times(manager_steps), given=teams)
    assert has_plain_class(Team.players.related_manager_cls)


async def manager_steps(orm, turn):
    red = await orm.call(Team.objects, "get", name="red")
    first, second, *_ = await orm.list(Player.objects.order_by("pk"))
    await orm.call(red.players, "create", name=f"new {turn}")
    await orm.call(red.players, "set", [first, second])
    shoot = await orm.call(Skill.objects, "get", name="shoot")
    await orm.call(shoot.players, "remove", second)
    await orm.call(shoot.players, "add", second)
    return await orm.call(red.players, "count"), await orm.call(shoot.players, "count")


@contextmanager
def default_manager(model, manager_class):
    """Have a model's default manager be another one, and relations to it made of that."""
    manager = manager_class()
    manager.model = model
    manager.name = "objects"
    descriptors = [Team.players, Skill.players]
    for each in descriptors:
        each.__dict__.pop("related_manager_cls", None)
    with mock.patch.dict(model._meta.__dict__, default_manager=manager):
        yield
    for each in descriptors:
        each.__dict__.pop("related_manager_cls", None)


def test_a_replaced_method_is_called(scratch, run):
    teams()
    manager_class = Team.players.related_manager_cls
    called = []

    def add(manager, *objs, bulk=True):
        called.append(objs)

    async def ask():
        red = await Team.objects.aget(name="red")
        with mock.patch.object(manager_class, "add", add):
            await red.players.aadd("x")
            await red.players.aset([])
        await red.players.aadd()

    run(ask)
    assert called == [("x",), ()]


def test_a_related_managers_rows_refer_to_its_instance(library, run):
    async def ask():
        ada = await Author.objects.aget(name="Ada")
        for _ in range(3):
            books = await ada.books.order_by("pk").alist()
        return ada, books

    ada, books = run(ask)
    assert {id(book.author) for book in books} == {id(ada)}
    assert books == list(Book.objects.filter(author=ada).order_by("pk"))


def test_two_tasks_of_one_block(scratch, run):
    """The rows are inserted in the block that is open, and are gone with it."""
    teams()

    async def ask():
        first = await Player.objects.order_by("pk").afirst()
        for _ in range(3):
            await first.skills.aadd(1)
        await first.skills.aclear()
        try:
            async with async_atomic():
                await first.skills.aadd(1, 2)
                assert await first.skills.acount() == 2
                raise LookupError
        except LookupError:
            return await first.skills.acount()

    assert run(ask) == 0
