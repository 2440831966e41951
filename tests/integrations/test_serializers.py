"""Django REST Framework's serializers read and write models of an async manager."""

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from tests.library.models import Author, Book, Player, Profile, Sample, Skill, Tag, Team
from tests.support.answers import django_answer, sync_answer, turbo_answer
from tests.support.givens import teams
from tests.support.scenario import contents
from tests.support.tables import empty
from turbo_orm import async_atomic, bridge


class ProfileSerializer(serializers.ModelSerializer):
    class Meta:
        model = Profile
        fields = ["motto"]


class AuthorSerializer(serializers.ModelSerializer):
    class Meta:
        model = Author
        fields = ["id", "name", "born"]


class TagSerializer(serializers.ModelSerializer):
    class Meta:
        model = Tag
        fields = ["label"]


class FlatSerializer(serializers.ModelSerializer):
    """Relations by their keys, as ModelSerializer has them unless it is told otherwise."""

    class Meta:
        model = Book
        fields = "__all__"


class BookSerializer(serializers.ModelSerializer):
    """Relations by what is on their other side."""

    author = AuthorSerializer()
    translated_by = serializers.CharField(source="translator.name", default=None)
    tags = TagSerializer(many=True)
    labels = serializers.SlugRelatedField("label", many=True, read_only=True, source="tags")
    notes = serializers.StringRelatedField(many=True)

    class Meta:
        model = Book
        fields = ["title", "author", "translated_by", "tags", "labels", "notes", "published"]


class ShelfSerializer(serializers.ModelSerializer):
    profile = ProfileSerializer(read_only=True)
    books = BookSerializer(many=True)

    class Meta:
        model = Author
        fields = ["name", "profile", "books"]


class SampleSerializer(serializers.ModelSerializer):
    class Meta:
        model = Sample
        exclude = ["blob"]


class CountedSerializer(serializers.Serializer):
    title = serializers.CharField()
    author__name = serializers.CharField()


BOOKS = Book.objects.order_by("pk").select_related("author", "translator")
SERIALIZERS = {
    "relations by key": (FlatSerializer, lambda: Book.objects.order_by("pk")),
    "relations by key, prefetched": (FlatSerializer, lambda: BOOKS.prefetch_related("tags")),
    "nested": (BookSerializer, lambda: BOOKS.prefetch_related("tags", "notes")),
    "nested twice": (
        ShelfSerializer,
        lambda: (
            Author.objects.exclude(profile=None)
            .select_related("profile")
            .prefetch_related("books__author", "books__translator", "books__tags", "books__notes")
        ),
    ),
    "every type": (SampleSerializer, lambda: Sample.objects.exclude(pk=7).order_by("pk")),
    "values": (CountedSerializer, lambda: BOOKS.values("title", "author__name")),
}
# What asks for nothing that is not there can be read by plain code in the event loop.
COMPLETE = sorted({*SERIALIZERS} - {"relations by key"})


def rendered(serializer):
    return JSONRenderer().render(serializer.data)


@pytest.mark.parametrize("case", COMPLETE)
def test_what_alist_has_found_is_read_in_the_event_loop(case, library, run):
    serializer, make = SERIALIZERS[case]

    async def read():
        return rendered(serializer(await make().alist(), many=True))

    expected = django_answer(lambda: rendered(serializer(list(make()), many=True)))
    assert run(lambda: turbo_answer(read)) == expected


@pytest.mark.parametrize("case", SERIALIZERS)
def test_a_queryset_is_read_in_sync_code(case, library):
    serializer, make = SERIALIZERS[case]
    expected = django_answer(lambda: rendered(serializer(make(), many=True)))
    assert sync_answer(lambda: rendered(serializer(make(), many=True))) == expected


@pytest.mark.parametrize("case", SERIALIZERS)
def test_a_queryset_is_read_on_the_bridge(case, library, run):
    serializer, make = SERIALIZERS[case]
    expected = django_answer(lambda: rendered(serializer(make(), many=True)))

    async def read():
        return await bridge.run(rendered, serializer(make(), many=True))

    assert run(lambda: turbo_answer(read)) == expected


def test_one_instance_is_read_in_the_event_loop(library, run):
    queryset = BOOKS.prefetch_related("tags", "notes")

    async def read():
        return BookSerializer(await queryset.aget(title="Book 5")).data

    assert run(read) == BookSerializer(queryset.get(title="Book 5")).data


@pytest.mark.parametrize("manager", [Author.objects, lambda: Author.objects.get(name="Ada").books])
def test_a_manager_is_read_in_sync_code(manager, library):
    manager = manager() if callable(manager) else manager
    serializer = AuthorSerializer if manager is Author.objects else FlatSerializer
    expected = django_answer(lambda: rendered(serializer(manager, many=True)))
    assert sync_answer(lambda: rendered(serializer(manager, many=True))) == expected


NOT_THERE = {
    "the rows": (AuthorSerializer, lambda: Author.objects.all(), lambda queryset: queryset),
    "a relation": (
        BookSerializer,
        lambda: Book.objects.prefetch_related("tags", "notes"),
        lambda queryset: queryset.alist(),
    ),
    "a relation of many": (FlatSerializer, lambda: BOOKS, lambda queryset: queryset.alist()),
}


@pytest.mark.parametrize("case", NOT_THERE)
def test_in_the_event_loop_what_is_not_there_is_an_error(case, library, run):
    serializer, make, fetch = NOT_THERE[case]

    async def read():
        found = fetch(make())
        return serializer(await found if case != "the rows" else found, many=True).data

    with pytest.raises(SynchronousOnlyOperation):
        run(read)


# Writing


class SkillSerializer(serializers.ModelSerializer):
    class Meta:
        model = Skill
        fields = ["id", "name"]


class TeamSerializer(serializers.ModelSerializer):
    class Meta:
        model = Team
        fields = ["id", "name", "city"]


class PlayerSerializer(serializers.ModelSerializer):
    class Meta:
        model = Player
        fields = ["id", "name", "rank", "team", "skills"]


class SquadSerializer(serializers.ModelSerializer):
    """Writes what is nested, as DRF has one do by hand."""

    skills = SkillSerializer(many=True)

    class Meta:
        model = Player
        fields = ["name", "skills"]

    @transaction.atomic
    def create(self, validated_data):
        skills = validated_data.pop("skills")
        player = Player.objects.create(**validated_data)
        player.skills.set([Skill.objects.create(**skill) for skill in skills])
        return player


def saved(serializer):
    serializer.is_valid(raise_exception=True)
    serializer.save()
    return serializer.data


def player():
    return Player.objects.get(name="player 1")


NEW = {"name": "new", "rank": 3, "team": 2, "skills": [1, 3]}

WRITES = {
    "create": lambda: PlayerSerializer(data=NEW),
    "create without a relation": lambda: PlayerSerializer(data={**NEW, "team": None}),
    "create many": lambda: TeamSerializer(
        data=[{"name": "a"}, {"name": "b", "city": "B"}], many=True
    ),
    "create what is nested": lambda: SquadSerializer(
        data={"name": "new", "skills": [{"name": "x"}, {"name": "y"}]}
    ),
    "update": lambda: PlayerSerializer(player(), data=NEW),
    "update partially": lambda: PlayerSerializer(player(), data={"rank": 7}, partial=True),
    "update to what it is": lambda: TeamSerializer(
        Team.objects.get(name="red"), data={"name": "red", "city": "Oslo"}
    ),
}

WRONG = {
    "a name that is not unique": lambda: TeamSerializer(data={"name": "red"}),
    "a key that is not there": lambda: PlayerSerializer(data={**NEW, "team": 99}),
    "one of several keys": lambda: PlayerSerializer(data={**NEW, "skills": [1, 99]}),
    "one of several": lambda: TeamSerializer(data=[{"name": "a"}, {"name": "blue"}], many=True),
    "what is nested": lambda: SquadSerializer(data={"name": "new", "skills": [{"name": "run"}]}),
}


@pytest.mark.parametrize("case", WRITES)
def test_what_is_saved_on_the_bridge_is_what_django_saves(case, play):
    async def scenario(player):
        return await player.run(lambda: saved(WRITES[case]()))

    play(scenario, given=teams)


@pytest.mark.parametrize("case", WRONG)
def test_validation_on_the_bridge_is_djangos(case, play):
    async def scenario(player):
        return await player.run(lambda: saved(WRONG[case]()))

    play(scenario, given=teams, raises=serializers.ValidationError)


@pytest.mark.parametrize("case", WRITES)
def test_what_is_saved_in_sync_code_is_what_django_saves(case, tables):
    def written(answer):
        empty("default")
        teams()
        return answer(lambda: saved(WRITES[case]())), contents()

    assert written(sync_answer) == written(django_answer)


def test_an_outer_transaction_undoes_what_is_saved(run, scratch):
    async def save():
        async with async_atomic():
            data = await bridge.run(saved, TeamSerializer(data={"name": "new"}))
            inside = await Team.objects.filter(pk=data["id"]).aexists()
            raise LookupError(inside)

    with pytest.raises(LookupError, match="True"):
        run(save)
    assert not Team.objects.exists()
