"""The query cache for models whose managers are Django's own: QUERY_CACHE_ALL_MANAGERS."""

import copy
import pickle
from contextlib import contextmanager
from unittest import mock

import pytest
from django.db import connections
from django.db.models import Count, F, Prefetch, Q, QuerySet, Subquery
from django.db.models.query import RawQuerySet
from django.test import override_settings

from tests.patches.test_patch_django import refill
from tests.plain.models import Label, Remark, Shelf, Volume
from tests.support.answers import django_answer, sync_answer, turbo_answer
from turbo_orm import cache_info, explain_cache, run_sync, unpatch_django
from turbo_orm.orm.plain_queryset import PlainQuerySet
from turbo_orm.query_cache.cache import cache

ON = {"PATCH_DJANGO": True, "QUERY_CACHE_ALL_MANAGERS": True}


@contextmanager
def switched_on():
    with override_settings(TURBO_ORM=ON):
        yield


@pytest.fixture
def on(tables):
    refill()
    with switched_on():
        yield


# Each with whether the statement can be cached.
READS = {
    "get": lambda: Shelf.objects.get(name="north"),
    "get of none": lambda: Shelf.objects.get(name="none"),
    "get of several": lambda: Label.objects.get(pk__gt=0),
    "list": lambda: list(Label.objects.order_by("-name")),
    "slice": lambda: list(Label.objects.order_by("-name")[1:3]),
    "item": lambda: Label.objects.order_by("-name")[1],
    "first": lambda: Label.objects.filter(name__contains="1").first(),
    "last": lambda: Label.objects.last(),
    "count": lambda: Label.objects.exclude(name="none").count(),
    "exists": lambda: Label.objects.filter(name="none").exists(),
    "aggregate": lambda: Label.objects.aggregate(n=Count("volumes")),
    "annotated": lambda: list(Shelf.objects.annotate(n=Count("volumes")).order_by("pk").values()),
    "either": lambda: list(Label.objects.filter(Q(name="none") | Q(pk=1))),
    "prefetched": lambda: [
        [volume.title for volume in shelf.volumes.all()]
        for shelf in Shelf.objects.order_by("pk").prefetch_related(
            Prefetch("volumes", Volume.objects.order_by("-pk"))
        )
    ],
    "related": lambda: list(Volume.objects.get(pk=4).labels.order_by("pk")),
    "generic": lambda: list(Shelf.objects.get(pk=1).remarks.order_by("pk")),
    "named": lambda: list(Label.objects.values_list("name", flat=True).order_by("pk")),
    "in": lambda: list(Volume.objects.filter(shelf__in=Shelf.objects.filter(name="north"))),
    "joined": lambda: [
        volume.shelf for volume in Volume.objects.order_by("pk").select_related("shelf")
    ],
    "update": lambda: Label.objects.filter(name="none").update(name=F("name")),
    "update or create": lambda: Label.objects.update_or_create(
        {"name": "label 1"}, name="label 1"
    )[1],
    "in bulk": lambda: Label.objects.in_bulk([1, 2]),
    "sum": lambda: list((Label.objects.filter(pk=1) | Label.objects.filter(pk=2)).order_by("pk")),
    "union": lambda: list(Label.objects.filter(pk=1).union(Label.objects.filter(pk=2))),
    "none": lambda: list(Label.objects.none()),
    "extra": lambda: list(Label.objects.extra(where=["id = 1"])),
    "dates": lambda: list(Remark.objects.values_list("content_type__model").order_by("pk")),
}


@pytest.mark.parametrize("case", READS)
def test_answers(case, tables, run):
    refill()
    expected = django_answer(READS[case])
    cache.clear()
    with switched_on():
        found = [sync_answer(READS[case]) for _ in range(4)]
        assert found == [expected] * 4

        async def on_bridge():
            return [await turbo_answer(lambda: run_sync(READS[case])) for _ in range(3)]

        assert run(on_bridge) == [expected] * 3
    assert sync_answer(READS[case]) == expected


def test_what_is_cached(on, run):
    async def ask():
        await Label.objects.aget(name="label 1")
        await Label.objects.filter(name="label 1").acount()
        return [label async for label in Label.objects.order_by("pk")]

    cache.clear()
    for _ in range(2):
        Label.objects.get(name="label 1")
        Label.objects.filter(name="label 1").count()
        list(Label.objects.order_by("pk"))
    before = cache_info().hits
    assert len(run(ask)) == 3
    assert cache_info().hits == before + 3
    assert explain_cache(Label.objects.order_by("pk")).outcome == "hit"


QUERYSETS = {
    "all": lambda: Label.objects.all(),
    "manager": lambda: Label.objects.get_queryset(),
    "filter": lambda: Label.objects.filter(pk=1),
    "slice": lambda: Label.objects.order_by("pk")[:2],
    "values": lambda: Label.objects.values("pk"),
    "extra": lambda: Label.objects.extra(where=["id = 1"]).filter(pk=1),
    "none": lambda: Label.objects.none(),
    "union": lambda: Label.objects.filter(pk=1).union(Label.objects.filter(pk=2)),
    "or": lambda: Label.objects.filter(pk=1) | Label.objects.filter(pk=2),
    "related": lambda: Volume.objects.get(pk=4).labels.all(),
    "using": lambda: Label.objects.using("default").defer("name"),
}


def statement(queryset):
    return None if queryset.query.is_empty() else str(queryset.query)


@pytest.mark.parametrize("case", QUERYSETS)
def test_they_pass_for_djangos(case, on):
    made = [QUERYSETS[case]() for _ in range(3)]
    unpatch_django()
    djangos = QUERYSETS[case]()
    assert type(djangos) is djangos.__class__ is QuerySet
    for queryset in made:
        assert type(queryset) is PlainQuerySet
        assert queryset.__class__ is QuerySet
        assert isinstance(queryset, QuerySet)
        assert repr(queryset) == repr(djangos)
        assert statement(queryset) == statement(djangos)


@pytest.mark.parametrize("duplicate", [lambda it: pickle.loads(pickle.dumps(it)), copy.copy])
@pytest.mark.parametrize("case", QUERYSETS)
def test_their_pickles_and_copies_are_djangos(case, duplicate, on):
    queryset = QUERYSETS[case]()
    duplicated = duplicate(queryset)
    unpatch_django()
    djangos = duplicate(QUERYSETS[case]())
    assert type(duplicated) is QuerySet
    assert {*vars(duplicated)} == {*vars(djangos)}
    assert list(duplicated) == list(djangos) == list(queryset)
    assert statement(duplicated) == statement(djangos)


def test_their_deep_copies_are_djangos(on):
    queryset = Label.objects.filter(pk=1)
    copied = copy.deepcopy(queryset)
    assert copied.__class__ is QuerySet
    assert list(copied.all()) == list(queryset)


def test_they_go_on_when_django_is_unpatched(on, run):
    labels = Label.objects.order_by("pk")
    assert len(labels) == 3
    unpatch_django()
    assert type(Label.objects.all()) is QuerySet
    again = labels.filter(pk__gt=1)
    assert [label.pk for label in again] == [2, 3]
    assert again.count() == 2
    assert run(lambda: labels.filter(pk__gt=2).acount()) == 1


def test_another_class_can_be_given(on):
    class Labels(QuerySet):
        def second(self):
            return self.order_by("pk")[1]

    labels = Label.objects.filter(pk__gt=0)
    labels.__class__ = Labels
    assert type(labels) is type(labels.all()) is Labels
    assert labels.second().pk == 2


def test_classes_of_a_project_are_djangos(on):
    assert type(Volume.objects.all()) is Volume.objects._queryset_class
    assert not isinstance(Volume.objects.all(), PlainQuerySet)
    # Django reads the query of each of these.
    assert type(Label._base_manager.all()) is QuerySet


def test_what_a_tool_has_replaced_is_called(on):
    with mock.patch.object(QuerySet, "count", return_value=5):
        assert Label.objects.count() == 5
    with mock.patch.object(QuerySet, "filter", return_value="tool's"):
        assert type(Label.objects.all()) is QuerySet
        assert Label.objects.filter(pk=1) == "tool's"
    # The first query after it looks anew.
    Label.objects.all()
    assert type(Label.objects.all()) is PlainQuerySet


def test_raw_querysets_are_djangos(on):
    raw = Label.objects.filter(pk=1).raw("SELECT * FROM plain_label ORDER BY id")
    assert type(raw) is RawQuerySet
    assert [label.pk for label in raw] == [1, 2, 3]
    assert not PlainQuerySet._overridden


def test_a_queryset_of_both_kinds(on):
    shelves = Shelf.objects.filter(name="north")
    assert Volume.objects.filter(shelf__in=shelves).count() == 3
    assert Volume.objects.filter(shelf__in=Subquery(shelves.values("pk"))).count() == 3


def test_it_is_off_by_default(tables):
    with override_settings(TURBO_ORM={"PATCH_DJANGO": True}):
        assert type(Label.objects.all()) is QuerySet
        with switched_on():
            assert type(Label.objects.all()) is PlainQuerySet
        assert type(Label.objects.all()) is QuerySet
    with override_settings(TURBO_ORM={**ON, "PATCH_DJANGO": False}):
        assert type(Label.objects.all()) is QuerySet


def test_with_a_database_of_another_engine_it_is_off(tables):
    engine = {**connections.settings["other"], "ENGINE": "django.db.backends.sqlite3"}
    with mock.patch.dict(connections.settings, other=engine), switched_on():
        assert type(Label.objects.all()) is QuerySet
