"""The async methods of related managers, against Django's sync ones."""

import django
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist, SynchronousOnlyOperation
from django.db.models.signals import m2m_changed

from tests.library.models import Comment, Player, Skill, Team
from tests.support.givens import receivers, teams


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


def test_many_to_many_count_and_exists(play):
    async def steps(orm):
        third = await player(orm, 3)
        prefetched = await orm.call(Player.objects.prefetch_related("skills"), "get", pk=third.pk)
        return [
            (await orm.call(skills, "count"), await orm.call(skills, "exists"))
            for skills in (third.skills, prefetched.skills, (await player(orm, 0)).skills)
        ]

    play(steps, given=teams)


def test_the_rows_that_many_to_many_counts_by(play):
    async def steps(orm):
        third = await player(orm, 3)
        # The model between is Django's own, and so are its manager and queryset.
        return await orm.run(third.skills.constrained_target.count)

    assert play(steps, given=teams)["returned"] == (int, 3)


@pytest.mark.skipif(django.VERSION < (6, 1), reason="it came with 6.1")
@pytest.mark.parametrize("clear", [True, False])
def test_many_to_many_set_base(clear, play):
    async def steps(orm):
        third = await player(orm, 3)
        skills = await skills_named(orm, "pass", "shoot")
        with receivers(m2m_changed) as told:
            await orm.run(lambda: third.skills.set_base(skills, clear=clear, raw=True))
        return told, await orm.list(third.skills.order_by("pk"))

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
        # Without, turbo-orm fetches them in advance: no statement of the test's.
        await orm.run(lambda: ContentType.objects.get_for_models(Player, Team))
        first = await player(orm, 0)
        made = await orm.call(Comment.objects, "create", text="x", target=first)
        return made, await orm.list(Comment.objects.order_by("pk").prefetch_related("target"))

    play(steps, given=teams)


TARGETS = {
    "is fetched": (lambda comment: comment.target, None),
    "is fetched once": (lambda comment: comment.target is comment.target, None),
    "is gone": (lambda comment: (setattr(comment, "object_id", 99), comment.target), None),
    "is set": (lambda comment: (setattr(comment, "target", Team(pk=1)), comment.save()), None),
    "is unsaved": (lambda _: Comment.objects.create(text="x", target=Team(name="x")), ValueError),
    "is of another kind now": (
        lambda comment: (
            comment.target,
            setattr(comment, "content_type", ContentType.objects.get_for_model(Team)),
            comment.target,
        ),
        None,
    ),
}


@pytest.mark.parametrize("case", TARGETS)
def test_the_target_of_a_generic_foreign_key_on_the_bridge(case, play):
    work, error = TARGETS[case]

    async def steps(orm):
        comment = await orm.call(Comment.objects, "get", text="on 1")
        return await orm.run(lambda: work(comment)), comment

    play(steps, given=teams, raises=error)


def test_a_generic_foreign_key_in_the_event_loop(scratch, run):
    teams()

    async def ask():
        comment = await Comment.objects.aget(text="on 1")
        with pytest.raises(SynchronousOnlyOperation):
            _ = comment.target
        (fetched,) = await Comment.objects.filter(pk=comment.pk).prefetch_related("target").alist()
        comment.target = fetched.target
        await comment.asave()
        return comment.target.name, fetched.target.name

    assert run(ask) == ("player 1", "player 1")


def test_writing_through_a_prefetched_relation_forgets_it(play):
    async def steps(orm):
        team = await orm.call(Team.objects.prefetch_related("players"), "get", name="red")
        before = await orm.list(team.players.all())
        await orm.call(team.players, "create", name="new")
        return before, await orm.list(team.players.order_by("pk"))

    play(steps, given=teams)
