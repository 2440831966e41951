"""Django patched for the whole process: models, querysets and managers that are all its own."""

import sys
from contextlib import aclosing, contextmanager

import django
import pytest
from django.apps import apps
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import AppRegistryNotReady
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.core.paginator import Paginator
from django.core.signals import request_finished, request_started
from django.db import connections, models, router
from django.db.models import (
    Avg,
    Count,
    F,
    Manager,
    Prefetch,
    QuerySet,
    aprefetch_related_objects,
    prefetch_related_objects,
)
from django.db.models.query import ModelIterable, RawModelIterable, RawQuerySet
from django.db.models.sql.compiler import SQLCompiler
from django.dispatch import Signal
from django.shortcuts import aget_object_or_404, get_object_or_404
from django.test import override_settings

from tests.library.models import Book
from tests.plain.models import MODELS, Label, Remark, Shelf, Volume, fill
from tests.support.answers import django_answer, fingerprint, sync_answer, turbo_answer
from tests.support.counting import calls
from tests.support.project import databases, run_in_project
from tests.support.tables import truncate
from turbo_orm import (
    AsyncQuerySet,
    async_atomic,
    bridge,
    conf,
    explain_hydration,
    patch_django,
    unpatch_django,
)
from turbo_orm.bridge import sync_to_async
from turbo_orm.checks import check_installation, check_settings
from turbo_orm.hydration.row_layout import NATIVE_ITERABLES

HOP = r"sync_to_async\(\) was called"


@contextmanager
def all_patched():
    patch_django()
    try:
        yield
    finally:
        unpatch_django()


@pytest.fixture
def patched():
    with all_patched():
        yield


@pytest.fixture
def shop(tables):
    """Fill the tables of the app that knows nothing of turbo-orm."""
    refill()


def refill():
    truncate("default", [model._meta.db_table for model in MODELS])
    fill()


def contents():
    with connections["default"].cursor() as cursor:
        return [rows(cursor, model._meta.db_table) for model in MODELS]


def rows(cursor, table):
    cursor.execute(f"SELECT * FROM {table} ORDER BY id")
    return cursor.fetchall()


# What is asked for in sync code, and in async code

BY_KEY = Volume.objects.order_by("pk")
RAW = "SELECT *, pages * 2 AS doubled FROM plain_volume ORDER BY id"


async def collect(results):
    return [result async for result in results]


async def in_chunks(queryset):
    async with aclosing(queryset.aiterator(chunk_size=2)) as results:
        return await collect(results)


ROWS = {
    "instances": lambda: BY_KEY.all(),
    "a filter of its own": lambda: BY_KEY.thick(),
    "a queryset of Django's class": lambda: QuerySet(Shelf).order_by("pk"),
    "some fields": lambda: BY_KEY.only("title"),
    "annotated": lambda: BY_KEY.annotate(n=Count("labels"), twice=F("price") * 2),
    "with related ones": lambda: BY_KEY.select_related("shelf"),
    "prefetched": lambda: BY_KEY.prefetch_related("labels", "remarks", "shelf__remarks"),
    "prefetched in a way": lambda: Shelf.objects.order_by("pk").prefetch_related(
        Prefetch("volumes", Volume.objects.thick().order_by("pk"), "thick_ones")
    ),
    "generic targets": lambda: Remark.objects.order_by("pk").prefetch_related("target"),
    "dicts": lambda: BY_KEY.values("title", "shelf__name"),
    "tuples": lambda: BY_KEY.values_list("title", "price"),
    "named tuples": lambda: BY_KEY.values_list("title", "price", named=True),
    "flat values": lambda: BY_KEY.values_list("title", flat=True),
    "datetimes": lambda: Volume.objects.datetimes("printed", "month"),
    "none": lambda: Volume.objects.none(),
    "of a union": lambda: Volume.objects.filter(pages=0).union(Volume.objects.filter(pages=100)),
    "of a related manager": lambda: Shelf.objects.get(pk=1).volumes.order_by("pk"),
    "of a relation to many": lambda: Volume.objects.get(pk=4).labels.order_by("pk"),
    "of a generic relation": lambda: Volume.objects.get(pk=4).remarks.order_by("pk"),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows(case, shop, run):
    whole, by_chunks = ROWS[case](), ROWS[case]()
    expected = django_answer(lambda: list(whole))
    expected_by_chunks = django_answer(lambda: list(by_chunks.iterator(chunk_size=2)))
    whole, by_chunks, sync, sync_by_chunks = (ROWS[case]() for _ in range(4))
    with all_patched():
        assert run(lambda: turbo_answer(lambda: collect(whole))) == expected
        assert run(lambda: turbo_answer(lambda: in_chunks(by_chunks))) == expected_by_chunks
        assert sync_answer(lambda: list(sync)) == expected
        assert (
            sync_answer(lambda: list(sync_by_chunks.iterator(chunk_size=2))) == expected_by_chunks
        )
    assert "returned" in expected


RAW_ONES = {
    "annotated": lambda: Volume.objects.raw(RAW),
    "prefetched": lambda: Volume.objects.raw(RAW).prefetch_related("labels"),
    "of a database": lambda: Volume.objects.raw(RAW).using("default"),
    "deferred": lambda: Volume.objects.raw("SELECT id, title FROM plain_volume ORDER BY id"),
    "without a key": lambda: Volume.objects.raw("SELECT title FROM plain_volume"),
}


@pytest.mark.parametrize("case", RAW_ONES)
def test_raw(case, shop, run):
    expected = django_answer(lambda: list(RAW_ONES[case]()))
    with all_patched():
        assert type(RAW_ONES[case]()) is RawQuerySet
        assert run(lambda: turbo_answer(lambda: collect(RAW_ONES[case]()))) == expected
        assert sync_answer(lambda: list(RAW_ONES[case]())) == expected


ANSWERS = {
    "get": lambda call: call(Volume.objects, "get", title="volume 3"),
    "get, none": lambda call: call(Volume.objects, "get", title="nothing"),
    "get, several": lambda call: call(Volume.objects, "get", pages__gt=0),
    "first": lambda call: call(Volume.objects.thick(), "first"),
    "last": lambda call: call(BY_KEY.all(), "last"),
    "earliest": lambda call: call(Volume.objects, "earliest"),
    "latest": lambda call: call(Volume.objects, "latest", "title"),
    "count": lambda call: call(Volume.objects.thick(), "count"),
    "exists": lambda call: call(Volume.objects.thick(), "exists"),
    "contains": lambda call: call(Volume.objects.thick(), "contains", Volume(pk=1)),
    "in_bulk": lambda call: call(BY_KEY.all(), "in_bulk", [1, 3]),
    "aggregate": lambda call: call(Volume.objects, "aggregate", mean=Avg("pages")),
    "explain": lambda call: call(BY_KEY.all(), "explain", costs=False),
    "create": lambda call: call(Volume.objects, "create", title="new"),
    "get_or_create": lambda call: call(Shelf.objects, "get_or_create", name="new"),
    "get_or_create, there": lambda call: call(Shelf.objects, "get_or_create", name="north"),
    "update_or_create": lambda call: call(
        Volume.objects, "update_or_create", {"pages": 7}, title="volume 1"
    ),
    "bulk_create": lambda call: call(
        Label.objects, "bulk_create", [Label(name="x"), Label(name="y")]
    ),
    "bulk_update": lambda call: call(
        Volume.objects, "bulk_update", [Volume(pk=1, title="x"), Volume(pk=2)], ["title"]
    ),
    "update": lambda call: call(Volume.objects.thick(), "update", pages=F("pages") + 1),
    "delete": lambda call: call(Volume.objects.thick(), "delete"),
    "save": lambda call: call(Volume(pk=1, title="saved"), "save", update_fields=["title"]),
    "save, twice": lambda call: call(Shelf(name="north"), "save"),
    "delete of an instance": lambda call: call(Volume(pk=1), "delete"),
    "refresh_from_db": lambda call: call(Volume(pk=1), "refresh_from_db", fields=["title"]),
    "related add": lambda call: call(Shelf(pk=1).volumes, "add", Volume.objects.get(pk=3)),
    "related remove": lambda call: call(Shelf(pk=1).volumes, "remove", Volume.objects.get(pk=1)),
    "related set": lambda call: call(Shelf(pk=1).volumes, "set", [Volume.objects.get(pk=2)]),
    "related clear": lambda call: call(Shelf(pk=1).volumes, "clear"),
    "related create": lambda call: call(Shelf(pk=1).volumes, "create", title="new"),
    "related get_or_create": lambda call: call(
        Shelf(pk=1).volumes, "get_or_create", title="volume 0"
    ),
    "many add": lambda call: call(Volume(pk=1).labels, "add", 1, 2),
    "many remove": lambda call: call(Volume(pk=4).labels, "remove", 1),
    "many set": lambda call: call(Volume(pk=4).labels, "set", [3]),
    "many clear": lambda call: call(Label(pk=1).volumes, "clear"),
    "many create": lambda call: call(Volume.objects.get(pk=1).labels, "create", name="new"),
    "generic add": lambda call: call(Shelf(pk=2).remarks, "add", Remark.objects.get(pk=1)),
    "generic set": lambda call: call(Volume(pk=1).remarks, "set", []),
    "generic clear": lambda call: call(Volume(pk=2).remarks, "clear"),
    "generic create": lambda call: call(Volume(pk=1).remarks, "create", text="new"),
    "generic update_or_create": lambda call: call(
        Volume(pk=1).remarks, "update_or_create", defaults={"text": "other"}, text="on 0"
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers(case, shop, run):
    """What a method returns or raises, its statements, and what is in the tables afterwards."""
    expected = django_answer(ANSWERS[case](sync_call))
    expected_contents = contents()
    refill()
    ask = ANSWERS[case](async_call)
    with all_patched():
        assert run(lambda: turbo_answer(ask)) == expected
    assert contents() == expected_contents
    assert "raised" not in expected or case in {"get, none", "get, several", "save, twice"}


def sync_call(owner, name, /, *args, **kwargs):
    return lambda: getattr(owner, name)(*args, **kwargs)


def async_call(owner, name, /, *args, **kwargs):
    return lambda: getattr(owner, f"a{name}")(*args, **kwargs)


def test_prefetching_and_shortcuts(shop, run, patched):
    instances, ours = list(BY_KEY), list(BY_KEY)
    prefetch_related_objects(instances, "labels")

    async def ask():
        await aprefetch_related_objects(ours, "labels")
        found = await aget_object_or_404(Shelf, name="south")
        return [list(volume.labels.all()) for volume in ours], found

    expected = [list(volume.labels.all()) for volume in instances]
    assert run(ask) == (expected, get_object_or_404(Shelf, name="south"))


@pytest.mark.skipif(django.VERSION < (6, 0), reason="new in 6.0")
@pytest.mark.parametrize("object_list", [BY_KEY, Label.objects.none(), "lazy"])
def test_a_paginator(object_list, shop, run, patched):
    from django.core.paginator import AsyncPaginator

    class Lazy:
        """A sequence of slices that nothing awaits."""

        def __len__(self):
            return 7

        def __getitem__(self, key):
            yield from BY_KEY.all()[key]

    object_list = Lazy() if object_list == "lazy" else object_list.all()

    async def ask():
        page = await AsyncPaginator(object_list, 3).aget_page(2)
        return page.number, await page.aget_object_list()

    page = Paginator(object_list, 3).get_page(2)
    assert run(ask) == (page.number, list(page.object_list))


def test_writes_are_part_of_a_transaction(shop, run, patched):
    @async_atomic
    async def change_ones_mind():
        shelf = await Shelf.objects.aget(name="north")
        await shelf.volumes.all().adelete()
        await shelf.adelete()
        raise LookupError

    async def ask():
        with pytest.raises(LookupError):
            await change_ones_mind()
        return await Shelf.objects.acount(), await Volume.objects.acount()

    assert run(ask) == (2, 7)


def test_an_iterator_that_is_left_early_leaves_no_cursor_behind(shop, run, patched):
    async def ask():
        async with async_atomic():
            async with aclosing(BY_KEY.aiterator(chunk_size=2)) as volumes:
                async for volume in volumes:
                    if volume.pk == 3:
                        break
            return await bridge.run(open_cursors)

    assert run(ask) == 0


def open_cursors():
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors")
        return cursor.fetchone()[0]


# Hydration


def test_no_row_is_made_by_djangos_iterables(shop, run, patched):
    unpatch_django()
    of_django = []
    with calls([ModelIterable.__iter__.__code__], of_django.append):
        patch_django()
        assert len(list(BY_KEY.all())) == len(list(BY_KEY.iterator())) == 7
        assert len(run(lambda: collect(BY_KEY.all()))) == 7
        assert len(run(lambda: in_chunks(BY_KEY.all()))) == 7
        assert of_django == []
        unpatch_django()
        assert len(list(BY_KEY.all())) == 7
        assert len(of_django) == 1


# What packages that keep results put into QuerySet.


def fetching_by_iterable(original, seen):
    """Return a method that evaluates the querysets itself, as that of cacheops does."""

    def _fetch_all(self):
        seen.append(self._result_cache)
        if self._result_cache is None:
            self._result_cache = list(self._iterable_class(self))
        original(self)

    return _fetch_all


def fetching_by_django(original, seen):
    def _fetch_all(self):
        seen.append(self._result_cache)
        original(self)

    return _fetch_all


EVALUATED = {
    "instances": lambda: BY_KEY.prefetch_related("labels"),
    "dicts": lambda: BY_KEY.values(),
    "tuples": lambda: BY_KEY.values_list("pk", "title"),
    "named tuples": lambda: BY_KEY.values_list("pk", "title", named=True),
    "values": lambda: BY_KEY.values_list("title", flat=True),
}


@pytest.mark.parametrize("rows", EVALUATED)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("wrap", [fetching_by_iterable, fetching_by_django])
def test_what_keeps_results_sees_a_queryset_without(wrap, is_first, rows, shop, run, patched):
    unpatch_django()
    expected = fingerprint(list(EVALUATED[rows]()))
    iterates = EVALUATED[rows]()._iterable_class.__iter__
    original, seen = QuerySet._fetch_all, []
    if not is_first:
        patch_django()
        original = QuerySet._fetch_all
    QuerySet._fetch_all = wrap(original, seen)
    if is_first:
        patch_django()
    try:
        of_django = []
        with calls([iterates.__code__], of_django.append):
            assert fingerprint(list(EVALUATED[rows]())) == expected
            assert seen[0] is None
            count = len(seen)
            assert fingerprint(run(lambda: collect(EVALUATED[rows]()))) == expected
            assert seen[count] is None
        assert of_django == []
    finally:
        if is_first:
            unpatch_django()
            QuerySet._fetch_all = original
        else:
            QuerySet._fetch_all = original
            unpatch_django()


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", ["execute_sql", "results_iter"])
def test_who_keeps_what_the_compiler_returns_gets_djangos(name, is_first, shop, run, patched):
    """Cachalot keeps lists of rows, by the SQL: a cursor is no such thing."""
    unpatch_django()
    expected = fingerprint(list(EVALUATED["instances"]()))
    original, results = getattr(SQLCompiler, name), []

    def method(self, *args, **kwargs):
        results.append((args, kwargs))
        return original(self, *args, **kwargs)

    if not is_first:
        patch_django()
    setattr(SQLCompiler, name, method)
    try:
        patch_django()
        assert fingerprint(list(EVALUATED["instances"]())) == expected
        assert fingerprint(run(lambda: collect(EVALUATED["instances"]()))) == expected
    finally:
        setattr(SQLCompiler, name, original)
    # The queryset and what is prefetched, twice. None was asked for a cursor.
    assert len(results) == 4
    assert not any("cursor" in args for args, _ in results)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
def test_an_iterable_that_was_replaced_makes_the_rows(is_first, shop, run, patched):
    unpatch_django()
    if not is_first:
        patch_django()
    original = ModelIterable.__iter__

    def shouting(self):
        for volume in original(self):
            volume.title += "!"
            yield volume

    ModelIterable.__iter__ = shouting
    try:
        patch_django()
        expected = [f"volume {i}!" for i in range(7)]
        assert [volume.title for volume in BY_KEY.all()] == expected
        assert [volume.title for volume in BY_KEY.iterator()] == expected
        assert [volume.title for volume in run(lambda: collect(BY_KEY.all()))] == expected
        assert [volume.title for volume in run(lambda: in_chunks(BY_KEY.all()))] == expected
        if is_first:
            unpatch_django()
    finally:
        ModelIterable.__iter__ = original


def test_an_iterable_of_ones_own_makes_the_rows(shop, run, patched):
    class Shouting(ModelIterable):
        def __iter__(self):
            for volume in super().__iter__():
                volume.title += "!"
                yield volume

    def queryset():
        found = BY_KEY.prefetch_related("labels")
        found._iterable_class = Shouting
        return found

    expected = [f"volume {i}!" for i in range(7)]
    assert [volume.title for volume in queryset()] == expected
    assert [volume.title for volume in queryset().iterator(chunk_size=2)] == expected
    assert [volume.title for volume in run(lambda: collect(queryset()))] == expected
    assert [volume.title for volume in run(lambda: in_chunks(queryset()))] == expected


def test_an_overridden_fetch_all_is_what_is_called(shop, run, patched):
    class Counting(QuerySet):
        fetched = 0

        def _fetch_all(self):
            type(self).fetched += 1
            super()._fetch_all()

    assert len(run(lambda: collect(Counting(Volume)))) == 7
    assert Counting.fetched == 1


def test_hydration_can_be_explained(shop, patched):
    explanation = explain_hydration(Volume.objects.all())
    assert explanation.label == "plain.Volume"
    assert explanation.is_native
    unpatch_django()
    with pytest.raises(TypeError, match="Django itself hydrates"):
        explain_hydration(Volume.objects.all())


# Routers

ROUTED = {
    "a list": lambda: list(BY_KEY.all()),
    "a list of dicts": lambda: list(BY_KEY.values()),
    "an iterator": lambda: list(BY_KEY.iterator()),
    "an iterator, prefetched": lambda: list(BY_KEY.prefetch_related("labels").iterator(7)),
    "rows of a raw query": lambda: list(Volume.objects.raw(RAW)),
    "one of them": lambda: BY_KEY.get(pk=1),
    "by their keys": lambda: BY_KEY.in_bulk([1, 2]),
}


@pytest.mark.parametrize("case", ROUTED)
def test_routers_are_asked_as_often_as_by_django(case, shop):
    class Asked:
        def db_for_read(self, model, **hints):
            asked.append(model.__name__)
            return "default"

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(router.__dict__, "routers", [Asked()])
        asked = []
        ROUTED[case]()
        of_django, asked = asked, []
        with all_patched():
            ROUTED[case]()
        assert asked == of_django != []


# What stays in a thread


def test_sync_receivers_of_an_async_signal_are_called_on_the_bridge(shop, run, patched):
    pinged = Signal()

    def receive(sender, **kwargs):
        return bridge.active(), Volume.objects.count()

    pinged.connect(receive)
    assert run(lambda: pinged.asend(sender=None)) == [(receive, (True, 7))]
    assert run(lambda: pinged.asend_robust(sender=None)) == [(receive, (True, 7))]
    unpatch_django()
    with pytest.raises(AssertionError, match=HOP):
        run(lambda: pinged.asend(sender=None))


def test_they_are_part_of_the_transaction(shop, run, patched):
    async def count(sender, **kwargs):
        return await Label.objects.acount()

    def receive(sender, **kwargs):
        Label.objects.create(name="by a receiver")
        return Label.objects.count()

    @async_atomic
    async def change_ones_mind():
        await Label.objects.acreate(name="before")
        found.extend(await pinged.asend(sender=None))
        raise LookupError

    found, pinged = [], Signal()
    for receiver in (receive, count):
        pinged.connect(receiver)
    with pytest.raises(LookupError):
        run(change_ones_mind)
    assert found == [(receive, 5), (count, 5)]
    assert Label.objects.count() == 3


@pytest.mark.parametrize("signal", [request_started, request_finished])
@pytest.mark.parametrize("method", ["asend", "asend_robust"])
def test_those_of_requests_are_not(signal, method, run, patched):
    """They close the sync connections of the thread that a sync view has used."""
    with pytest.raises(AssertionError, match=HOP):
        run(lambda: getattr(signal, method)(sender=None))


def test_a_cache_that_waits_for_something_else_is_asked_in_a_thread(run, patched, tmp_path):
    in_memory, in_files = LocMemCache("hops", {}), FileBasedCache(tmp_path, {})

    async def ask(cache):
        await cache.aset("key", 1)
        return await cache.aget("key")

    assert run(lambda: ask(in_memory)) == 1
    with pytest.raises(AssertionError, match=HOP):
        run(lambda: ask(in_files))


def test_a_queryset_of_an_async_manager_is_as_before(library, read, patched):
    assert type(Book.objects.all()) is AsyncQuerySet
    read(lambda: Book.objects.order_by("pk").prefetch_related("tags"))


# On and off


def everything():
    """Return all that patching could change, by where it is."""
    owners = [
        *(module for name, module in sys.modules.items() if name.startswith("django.")),
        *(QuerySet, RawQuerySet, Manager, models.Model),
        *(*NATIVE_ITERABLES, RawModelIterable),
    ]
    return {(owner, name): value for owner in owners for name, value in vars(owner).items()}


def changes(before):
    now = everything()
    return {
        (getattr(owner, "__name__", owner), name)
        for owner, name in before.keys() | now.keys()
        if before.get((owner, name)) is not now.get((owner, name))
    }


def test_unpatching_puts_back_what_was_there(tables):
    patch_django()
    unpatch_django()
    before = everything()
    patch_django()
    expected = {
        ("QuerySet", "_fetch_all"),
        ("QuerySet", "aiterator"),
        ("RawModelIterable", "__iter__"),
        *((iterable.__name__, "__iter__") for iterable in NATIVE_ITERABLES),
        ("django.core.cache.backends.base", "sync_to_async"),
        ("django.core.paginator", "sync_to_async"),
    }
    if django.VERSION < (6, 0):
        expected.remove(("django.core.paginator", "sync_to_async"))
    assert changes(before) == expected
    patch_django()
    unpatch_django()
    assert changes(before) == set()
    unpatch_django()
    assert changes(before) == set()


def test_unpatched_models_hop_again(shop, run):
    patch_django()
    assert run(Volume.objects.acount) == 7
    unpatch_django()
    with pytest.raises(AssertionError, match=HOP):
        run(Volume.objects.acount)


def test_the_setting_is_followed_where_it_changes():
    assert not sync_to_async.redirects_everything()
    with override_settings(TURBO_ORM={}):
        assert sync_to_async.redirects_everything()
        with override_settings(TURBO_ORM={"PATCH_DJANGO": False}):
            assert not sync_to_async.redirects_everything()
        assert sync_to_async.redirects_everything()
    assert not sync_to_async.redirects_everything()


def test_what_is_patched_by_hand_stays_where_the_setting_does_not_change(patched):
    with override_settings(TURBO_ORM={"PATCH_DJANGO": False, "QUERY_CACHE": False}):
        assert sync_to_async.redirects_everything()
    with override_settings(USE_TZ=False):
        assert sync_to_async.redirects_everything()
    assert sync_to_async.redirects_everything()


def test_it_is_refused_before_the_models_are_loaded(monkeypatch):
    monkeypatch.setattr(apps, "models_ready", False)
    with pytest.raises(AppRegistryNotReady):
        patch_django()
    assert not sync_to_async.redirects_everything()


# The settings


def test_there_is_nothing_to_complain_of_without_settings():
    assert check_settings(None) == check_installation(None) == []
    with override_settings(TURBO_ORM={}):
        assert check_settings(None) == []


@pytest.mark.parametrize(
    ("given", "identifier", "said", "hint"),
    [
        ({"PATCH_JANGO": True}, "E002", "'PATCH_JANGO'", "Did you mean 'PATCH_DJANGO'?"),
        ({"patch_django": True}, "E002", "'patch_django'", "Did you mean 'PATCH_DJANGO'?"),
        ({"colour": "red"}, "E002", "'colour'", "PATCH_DJANGO"),
        ({1: "red"}, "E002", "1", "PATCH_DJANGO"),
        ({"PATCH_DJANGO": "False"}, "E003", "'False'", "True"),
        ({"PATCH_DJANGO": 1}, "E003", "bool", "True"),
        ({"QUERY_CACHE": None}, "E003", "of type bool", "True"),
        ({"DIRECT_EXECUTION": 0}, "E003", "of type bool", "True"),
        ({"QUERY_CACHE_ENTRIES": 0}, "E003", "a positive int", "5000"),
        ({"QUERY_CACHE_ENTRIES": True}, "E003", "a positive int", "5000"),
        ({"QUERY_CACHE_BYTES": "50 MB"}, "E003", "a positive int", "50000000"),
        ({"SYNC_VIEWS": "greenlet"}, "E003", "'bridge' or 'thread'", "'thread'"),
        ({"SYNC_VIEWS": ["bridge"]}, "E003", "'bridge' or 'thread'", "'thread'"),
        ({"ON_EVENT_LOOP": "tests"}, "E003", "a list of dotted names", "()"),
        ({"ON_EVENT_LOOP": [len]}, "E003", "a list of dotted names", "()"),
        ({"LOOP_WATCHDOG": -1}, "E003", "a positive int or 0", "0"),
        ({"LOOP_WATCHDOG": 0.1}, "E003", "a positive int or 0", "0"),
        ({"N_PLUS_ONE": None}, "E003", "a positive int or 0", "0"),
        ({"REPLICAS": ["other"]}, "E003", "a dict of aliases with positive ints", "{}"),
        ({"REPLICAS": {"other": 0}}, "E003", "a dict of aliases with positive ints", "{}"),
        (["PATCH_DJANGO"], "E003", "dict", "PATCH_DJANGO"),
    ],
    ids=repr,
)
def test_a_wrong_setting_is_an_error_and_has_no_effect(given, identifier, said, hint):
    with override_settings(TURBO_ORM=given):
        (error,) = check_settings(None)
        assert error.id == f"turbo_orm.{identifier}"
        assert said in error.msg
        assert hint in error.hint
        assert conf.get("PATCH_DJANGO") is True
        assert sync_to_async.redirects_everything()
        with pytest.raises(SystemCheckError, match=error.id):
            call_command("check")


@pytest.mark.parametrize(("key", "number"), [("LOOP_WATCHDOG", 100), ("N_PLUS_ONE", 10)])
def test_a_number_may_have_another_default_with_debug(key, number):
    for is_debugged, given, expected in [
        (False, {}, 0),
        (False, {key: 5}, 5),
        (True, {}, number),
        (True, {key: 5}, 5),
        (True, {key: 0}, 0),
        (True, {key: "5"}, number),
    ]:
        with override_settings(DEBUG=is_debugged, TURBO_ORM={"PATCH_DJANGO": False, **given}):
            assert conf.get(key) == expected


def test_a_setting_without_the_app_is_an_error():
    code = """
        import turbo_orm
        from django.core.checks import run_checks
        answer([[error.id, error.msg, error.hint] for error in run_checks()])
    """
    apps = ["django.contrib.contenttypes"]
    assert run_in_project(code, INSTALLED_APPS=apps) == []
    ((identifier, said, hint),) = run_in_project(code, INSTALLED_APPS=apps, TURBO_ORM={})
    assert identifier == "turbo_orm.E005"
    assert "TURBO_ORM" in said
    assert "INSTALLED_APPS" in hint


def test_a_manager_without_the_app_is_an_error():
    code = """
        from django.core.checks import run_checks
        answer([[error.id, error.msg] for error in run_checks() if "turbo" in error.id])
    """
    apps = ["django.contrib.contenttypes", "tests.library"]
    ((identifier, said),) = run_in_project(
        code, INSTALLED_APPS=apps, ASYNC_BACKEND_DISABLE_POOL_WARNING=True
    )
    assert identifier == "turbo_orm.E005"
    assert "has an AsyncManager" in said


# A project

PLAIN_APPS = ["django.contrib.contenttypes", "turbo_orm", "tests.plain"]


def test_a_project_is_patched(shop):
    code = """
        from tests.support.event_loop import only_the_event_loop
        from tests.plain.models import Shelf, Volume
        from django_async_backend.db import async_connections

        async def work():
            shelf = await Shelf.objects.aget(name="north")
            found = [volume.title async for volume in shelf.volumes.order_by("pk")]
            await async_connections["default"].close()
            return found

        with only_the_event_loop():
            answer(asyncio.run(work()))
    """
    expected = ["volume 0", "volume 3", "volume 6"]
    assert run_in_project(code, INSTALLED_APPS=PLAIN_APPS) == expected


OTHER_KIND = """
    from asgiref.sync import sync_to_async
    from django.contrib.contenttypes.models import ContentType
    from django.core.management import call_command
    from django.db import connections
    from tests.plain.models import Label, Remark, Shelf, Volume
    from tests.support.event_loop import only_the_event_loop

    call_command("migrate", run_syncdb=True, verbosity=0)

    def warm(alias):
        ContentType.objects.db_manager(alias).get_for_model(Volume)

    RAW = "SELECT * FROM plain_volume"

    async def in_threads():
        try:
            return await work()
        finally:
            await sync_to_async(connections.close_all)()

    async def work():
        shelf = await Shelf.objects.acreate(name="a")
        volume = Volume(title="b", shelf=shelf)
        await volume.asave()
        await volume.labels.aadd(await Label.objects.acreate(name="c"))
        await volume.remarks.acreate(text="d")
        await Volume.objects.filter(pk=volume.pk).aupdate(price=1)
        found = await Volume.objects.select_related("shelf").aget()
        await volume.arefresh_from_db()
        await Label.objects.filter(name="c").adelete()
        return [
            volume == found,
            str(volume.price),
            [each.title async for each in Volume.objects.aiterator()],
            [each.text async for each in volume.remarks.all()],
            await volume.labels.acount(),
            [each.pk == volume.pk async for each in Volume.objects.raw(RAW)],
        ]
"""
WORKED = [True, "1.00", ["b"], ["d"], 0, [True]]


def test_a_database_of_another_kind(tables, tmp_path):
    """It is asked in a thread, as by Django."""
    code = (
        OTHER_KIND
        + """
    warm("default")
    answer(asyncio.run(in_threads()))
    connections.close_all()
    """
    )
    answered = run_in_project(
        code,
        INSTALLED_APPS=PLAIN_APPS,
        DATABASES=databases(ENGINE="django.db.backends.sqlite3", NAME=str(tmp_path / "db")),
    )
    assert answered == WORKED


def test_the_routers_name_the_kind_for_each_call(tables, tmp_path):
    """Where they name PostgreSQL, no thread is used; the default database is another one."""
    code = (
        OTHER_KIND
        + """
    from django.db import router

    class Router:
        def db_for_read(self, model, **hints):
            return alias

        db_for_write = db_for_read

        def allow_relation(self, *instances, **hints):
            return True

    async def closed():
        from django_async_backend.db import async_connections
        found = await work()
        await async_connections["other"].close()
        return found

    router.routers[:] = [Router()]
    alias = "other"
    warm(alias)
    with only_the_event_loop():
        with_postgresql = asyncio.run(closed())
    for model in (Remark, Volume, Label, Shelf):
        model.objects.all().delete()
    alias = "default"
    warm(alias)
    answer([with_postgresql, asyncio.run(in_threads())])
    connections.close_all()
    """
    )
    refill()
    truncate("other", [model._meta.db_table for model in MODELS])
    answered = run_in_project(
        code,
        INSTALLED_APPS=PLAIN_APPS,
        DATABASES=databases(ENGINE="django.db.backends.sqlite3", NAME=str(tmp_path / "db")),
    )
    assert answered == [WORKED, WORKED]
