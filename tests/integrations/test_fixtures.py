"""``dumpdata`` and ``loaddata`` write and read models of an async manager."""

import io
import json

import pytest
from django.apps import apps
from django.core import serializers
from django.core.exceptions import SynchronousOnlyOperation
from django.core.management import call_command
from django.core.serializers.base import DeserializationError

from tests.library.catalogue import Shelf, Signature
from tests.library.data import WRITTEN
from tests.library.fields import Arrays, Language, Structured
from tests.library.kinds import Converting
from tests.library.models import (
    Author,
    Book,
    Note,
    Order,
    Place,
    Player,
    Profile,
    Restaurant,
    Sample,
    Tag,
    Team,
)
from tests.support.answers import django_answer, sync_answer
from tests.support.givens import teams
from tests.support.scenario import contents
from tests.support.tables import empty, truncate

FORMATS = ["json", "jsonl", "xml"]
# Django cannot write what two of them hold: bytes in an array, and text in a binary field.
NOT_WRITTEN = [
    model._meta.label
    for model in apps.get_app_config("library").get_models()
    if model in (Arrays, Converting) or not model._meta.managed
]
LABELS = [model._meta.label for model in WRITTEN if not model._meta.auto_created]
# Of those that are only read, some that are loaded as they were: no other methods convert them.
READ = [Author, Book, Language, Note, Order, Place, Profile, Restaurant, Sample, Structured, Tag]


def dumped(*labels, **options):
    written = io.StringIO()
    call_command("dumpdata", *labels, stdout=written, **options)
    return written.getvalue()


def shelves():
    first, second, third = Shelf.objects.bulk_create(
        Shelf(room=room, number=number) for room, number in [("a", 1), ("a", 2), ("b", 1)]
    )
    signatures = [
        Signature.objects.create(text=text, shelf=shelf)
        for text, shelf in [("x", first), ("x", second), ("y", third)]
    ]
    signatures[0].see.set(signatures[1:])


NATURAL = {"use_natural_foreign_keys": True, "use_natural_primary_keys": True}
GIVEN = {
    "relations of every kind": (teams, {}),
    "generic relations by natural keys": (teams, {"use_natural_foreign_keys": True}),
    "natural keys": (shelves, NATURAL),
}


@pytest.fixture
def fixture(request, tmp_path, tables):
    """A file with what was in the tables, which are not empty any more."""
    given, options = GIVEN[request.param]
    empty("default")
    given()
    path = tmp_path / "fixture.json"
    path.write_text(dumped(*LABELS, **options), encoding="utf-8")
    return path


# Writing


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_dumped_is_what_django_dumps(format, library, scratch):
    def dump():
        return dumped("library", format=format, exclude=NOT_WRITTEN, use_natural_foreign_keys=True)

    teams()
    shelves()
    expected = django_answer(dump)
    assert len(expected["returned"][1]) > 10_000
    assert sync_answer(dump) == expected


@pytest.mark.parametrize("given", GIVEN)
def test_what_is_dumped_on_the_bridge_is_what_django_dumps(given, play):
    given, options = GIVEN[given]

    async def scenario(player):
        return await player.run(lambda: dumped(*LABELS, **options))

    play(scenario, given=given)


def test_instances_are_serialized_in_the_event_loop(library, run):
    queryset = Book.objects.order_by("pk").prefetch_related("tags")

    async def serialize():
        return serializers.serialize("json", await queryset.alist())

    assert run(serialize) == serializers.serialize("json", queryset)


def test_a_queryset_cannot_be_serialized_in_the_event_loop(library, run):
    async def serialize():
        return serializers.serialize("json", Book.objects.all())

    with pytest.raises(SynchronousOnlyOperation):
        run(serialize)


# Reading


def test_what_is_dumped_can_be_loaded_into_another_database(library, scratch, tmp_path):
    teams()
    shelves()
    labels = [*LABELS, *(model._meta.label for model in READ)]
    text = dumped(*labels, use_natural_foreign_keys=True)
    path = tmp_path / "fixture.json"
    path.write_text(text, encoding="utf-8")
    try:
        call_command("loaddata", path, database="other", verbosity=0)
        assert dumped(*labels, use_natural_foreign_keys=True, database="other") == text
    finally:
        truncate("other", [apps.get_model(label)._meta.db_table for label in labels])


@pytest.mark.parametrize("fixture", GIVEN, indirect=True)
def test_what_is_loaded_on_the_bridge_is_what_django_loads(fixture, play):
    before = contents()

    async def scenario(player):
        return await player.run(lambda: call_command("loaddata", fixture, verbosity=0))

    assert play(scenario)["tables"] == before


def test_a_fixture_that_is_wrong_changes_nothing(play, tmp_path):
    path = tmp_path / "fixture.json"
    rows = [
        {"model": "library.team", "pk": 1, "fields": {"name": "red"}},
        {"model": "library.player", "pk": 1, "fields": {"name": "x", "team": "no key"}},
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")

    async def scenario(player):
        return await player.run(lambda: call_command("loaddata", path, verbosity=0))

    answer = play(scenario, raises=DeserializationError)
    assert not answer["tables"][Team._meta.db_table]


def test_what_is_deserialized_can_be_saved_in_the_event_loop(scratch, run):
    teams()
    text = serializers.serialize("json", Player.objects.order_by("pk"))

    async def deserialize():
        found = [item.object for item in serializers.deserialize("json", text)]
        for player in found:
            player.rank += 1
            await player.asave()
        return found

    ranks = dict(Player.objects.values_list("name", "rank"))
    assert {player.name: player.rank - 1 for player in run(deserialize)} == ranks
    saved = dict(Player.objects.values_list("name", "rank"))
    assert saved == {name: rank + 1 for name, rank in ranks.items()}
