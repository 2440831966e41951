"""Prefetches by cached statements: what is kept where, what is a hit, and what is Django's."""

import asyncio
import gc
from contextlib import contextmanager
from unittest import mock

import pytest
from django.db.models import (
    Count,
    F,
    Prefetch,
    QuerySet,
    aprefetch_related_objects,
    prefetch_related_objects,
)
from django.db.models.fields.related_descriptors import ReverseManyToOneDescriptor
from django.db.models.query import ModelIterable
from django.db.models.sql.compiler import SQLCompiler

from tests.library.lineage import Building, Inn, Palace, Region
from tests.library.models import Author, Book, Note, Order, Profile, Tag
from tests.support.answers import django_answer, django_hydrates, fingerprint, turbo_answer
from tests.support.routers import Router, routed
from turbo_orm import bridge, cache_info
from turbo_orm.execution import fetching
from turbo_orm.hydration import gc_control
from turbo_orm.orm import prefetch_level
from turbo_orm.orm.relations import relation_of

pytestmark = pytest.mark.usefixtures("library")

BOOKS = Book.objects.order_by("pk")
AUTHORS = Author.objects.order_by("pk")
THICK = Book.objects.filter(pages__gt=200).order_by("pk")

# What is prefetched, and by how many statements
PREFETCHES = {
    "reverse foreign key": (lambda: AUTHORS.prefetch_related("books"), 2),
    "foreign key": (lambda: BOOKS.prefetch_related("author"), 2),
    "foreign key with NULL": (lambda: BOOKS.prefetch_related("translator"), 2),
    "reverse one-to-one": (lambda: AUTHORS.prefetch_related("profile"), 2),
    "one-to-one": (lambda: Profile.objects.order_by("pk").prefetch_related("author"), 2),
    "many-to-many": (lambda: BOOKS.prefetch_related("tags"), 2),
    "many-to-many, reverse": (lambda: Tag.objects.order_by("pk").prefetch_related("books"), 2),
    "to themselves": (lambda: AUTHORS.prefetch_related("friends__friends"), 3),
    "nested": (lambda: AUTHORS.prefetch_related("books__tags"), 3),
    "there and back": (lambda: AUTHORS.prefetch_related("books__author"), 2),
    "through what is selected": (
        lambda: BOOKS.select_related("author").prefetch_related("author__profile"),
        2,
    ),
    "several": (lambda: AUTHORS.prefetch_related("books", "profile", "friends"), 4),
    "filtered": (lambda: AUTHORS.prefetch_related(Prefetch("books", THICK.all())), 2),
    "to an attribute": (
        lambda: AUTHORS.prefetch_related(
            Prefetch("books", THICK.all(), to_attr="thick"), "thick__tags"
        ),
        3,
    ),
    "one to an attribute": (
        lambda: BOOKS.prefetch_related(Prefetch("author", to_attr="by"), "by__profile"),
        3,
    ),
    "deferred": (
        lambda: AUTHORS.prefetch_related(Prefetch("books", BOOKS.only("title", "author"))),
        2,
    ),
    "annotated": (
        lambda: AUTHORS.prefetch_related(
            Prefetch("books", BOOKS.annotate(n=Count("tags"), more=F("pages") + 1))
        ),
        2,
    ),
    "with prefetches of its own": (
        lambda: AUTHORS.prefetch_related(
            Prefetch("books", BOOKS.prefetch_related("tags", "translator"))
        ),
        4,
    ),
    "with a prefetch of what it is of": (
        lambda: AUTHORS.prefetch_related(Prefetch("books", BOOKS.prefetch_related("author"))),
        3,
    ),
    "what a related manager knows": (
        lambda: AUTHORS.prefetch_related(Prefetch("books", known().books.order_by("-pk"))),
        2,
    ),
    "of a database": (
        lambda: AUTHORS.prefetch_related(
            Prefetch("books", BOOKS.using("default").filter(pk__gt=0))
        ),
        2,
    ),
    "many with prefetches of their own": (
        lambda: BOOKS.prefetch_related(
            Prefetch("tags", Tag.objects.order_by("-pk").prefetch_related("books"))
        ),
        3,
    ),
    "a join that is filtered by": (
        lambda: Tag.objects.order_by("pk").prefetch_related(
            Prefetch("books", BOOKS.filter(tags__label__gt="tag-1", author__name__gt="B"))
        ),
        2,
    ),
    "selected": (
        lambda: AUTHORS.prefetch_related(Prefetch("books", BOOKS.select_related("author"))),
        2,
    ),
    "distinct": (lambda: AUTHORS.prefetch_related(Prefetch("books", BOOKS.distinct())), 2),
    "of rows without any": (lambda: Book.objects.filter(pages=0).prefetch_related("tags"), 2),
    "of one without any": (
        lambda: Book.objects.filter(translator=None).prefetch_related("translator"),
        1,
    ),
    "of a slice": (lambda: AUTHORS.prefetch_related("books")[1:3], 2),
    "to children": (lambda: Region.objects.order_by("pk").prefetch_related("buildings"), 2),
    "among children": (lambda: Inn.objects.order_by("pk").prefetch_related("rivals", "rival"), 3),
}


def known():
    """Return an instance that another one is equal to, of the database."""
    author = Author(pk=1)
    author._state.db = "default"
    return author


def held(instances):
    """Return the querysets that instances hold, by all that Django keeps in them."""
    return [
        (name, type(queryset), [(key, held_value(getattr(queryset, key))) for key in ATTRIBUTES])
        for each in instances
        for name, queryset in getattr(each, "_prefetched_objects_cache", {}).items()
    ]


# What stands for the query, and the results, which are compared as what a relation holds.
OF_THE_QUERY = {"_query", "_deferred_filter", "_result_cache"}
ATTRIBUTES = sorted(vars(QuerySet(Book)).keys() - OF_THE_QUERY)


def held_value(value):
    if isinstance(value, dict):
        return {key: held_value(each) for key, each in value.items()}
    return (type(value), value.pk) if hasattr(value, "pk") else value


@pytest.mark.parametrize("case", PREFETCHES)
def test_all_statements_are_hits_and_the_querysets_djangos(case, run):
    make, statements = PREFETCHES[case]
    # The cache is emptied when a receiver of pre_init is collected, which a test has left.
    gc.collect()

    def by_django():
        instances = list(make())
        return instances, held(instances)

    expected = django_answer(by_django)
    assert len(expected["statements"]) == statements

    async def ask():
        await make().alist()
        await make().alist()
        hits = cache_info().hits
        with without_bridge():
            instances = await make().alist()
        hits = cache_info().hits - hits

        async def answer():
            found = await make().alist()
            return found, held(found)

        logged = await turbo_answer(answer)
        return hits, fingerprint((instances, held(instances))), logged

    hits, found, logged = run(ask)
    assert logged == expected
    assert found == expected["returned"]
    assert hits == statements


@contextmanager
def without_bridge():
    """Have an assertion fail where Django prefetches."""
    forbidden = mock.Mock(side_effect=AssertionError("Django prefetches"))
    with mock.patch("turbo_orm.orm.prefetch._by_django", forbidden):
        yield


@pytest.mark.parametrize("of", ["books", "tags"])
def test_what_is_asked_of_a_prefetched_relation(of, run):
    def by_django():
        owner, *_ = (
            AUTHORS.prefetch_related("books")
            if of == "books"
            else BOOKS[3:4].prefetch_related("tags")
        )
        related = getattr(owner, of)
        return (
            list(related.all()),
            list(related.filter(pk__gt=1).order_by("-pk")),
            related.count(),
            related.exists(),
            list(related.all().order_by("pk")[:1]),
        )

    async def by_turbo():
        if of == "books":
            (owner, *_) = await AUTHORS.prefetch_related("books").alist()
        else:
            (owner,) = await BOOKS[3:4].prefetch_related("tags").alist()
        related = getattr(owner, of)
        return (
            await related.all().alist(),
            await related.filter(pk__gt=1).order_by("-pk").alist(),
            await related.acount(),
            await related.aexists(),
            await related.all().order_by("pk")[:1].alist(),
        )

    expected = django_answer(by_django)

    async def ask():
        return [await turbo_answer(by_turbo) for _ in range(3)]

    assert run(ask) == [expected] * 3


# Given instances


def unsaved():
    return [Author(name="x"), *AUTHORS.all()]


def half_fetched():
    authors = list(AUTHORS.all())
    authors[1].profile  # noqa: B018
    return authors


def evaluated():
    found = THICK.all()
    len(found)
    return found


GIVEN = {
    "twice the same": (lambda: ["books"], lambda: [*AUTHORS.all(), *AUTHORS.all()]),
    "one object twice": (lambda: ["books__tags"], lambda: [AUTHORS.all()[0]] * 2),
    "half of them fetched": (lambda: ["profile__author"], half_fetched),
    "unsaved": (lambda: ["books"], unsaved),
    "unsaved, forward": (lambda: ["author"], lambda: [Book(title="x"), *BOOKS[:3]]),
    "of two classes": (
        lambda: ["region"],
        lambda: [*Building.objects.order_by("pk"), *Palace.objects.all()],
    ),
    "with a deferred key": (lambda: ["author"], lambda: list(BOOKS.defer("author"))),
    "a tuple": (lambda: ["books"], lambda: tuple(AUTHORS.all())),
    "no instances": (lambda: ["books"], list),
    "the same lookup twice": (
        lambda: ["books", Prefetch("books", queryset=THICK.all())],
        lambda: list(AUTHORS.all()),
    ),
    "an attribute that is a field": (
        lambda: [Prefetch("books", to_attr="name")],
        lambda: list(AUTHORS.all()),
    ),
    "an attribute that is a relation": (
        lambda: [Prefetch("books", to_attr="profile")],
        lambda: list(AUTHORS.all()),
    ),
    "an attribute of the class": (
        lambda: [Prefetch("books", to_attr="pk")],
        lambda: list(AUTHORS.all()),
    ),
    "what is prefetched already": (
        lambda: ["books", "books__tags"],
        lambda: list(AUTHORS.prefetch_related("books")),
    ),
    "to an attribute that is there": (
        lambda: [Prefetch("books", queryset=THICK.all(), to_attr="thick"), "thick__tags"],
        lambda: list(AUTHORS.prefetch_related(Prefetch("books", to_attr="thick"))),
    ),
    "no relation": (lambda: ["nothing"], lambda: list(AUTHORS.all())),
    "a field": (lambda: ["name"], lambda: list(AUTHORS.all())),
    "a field on the way": (lambda: ["books__title__x"], lambda: list(AUTHORS.all())),
    "generic": (lambda: ["notes__content_type"], lambda: list(BOOKS.all())),
    "generic foreign keys": (lambda: ["target__tags"], lambda: list(Note.objects.order_by("pk"))),
    "composite keys": (lambda: ["lines__order"], lambda: list(Order.objects.order_by("number"))),
    "results that are there": (
        lambda: [Prefetch("books", queryset=evaluated())],
        lambda: list(AUTHORS.all()),
    ),
    "a union": (
        lambda: [Prefetch("books", queryset=THICK.union(BOOKS))],
        lambda: list(AUTHORS.all()),
    ),
    "a queryset of another model": (
        lambda: [Prefetch("books", queryset=Tag.objects.all())],
        lambda: list(AUTHORS.all()),
    ),
}
REFUSED = {
    "unsaved",
    "the same lookup twice",
    "an attribute that is a relation",
    "no relation",
    "a field",
    "a union",
    "a queryset of another model",
}


@pytest.mark.parametrize("case", GIVEN)
def test_given_instances(case, run):
    lookups, make = GIVEN[case]

    def by_django():
        prefetch_related_objects(given, *given_lookups)
        return given

    with django_hydrates():
        given, given_lookups = make(), lookups()
    expected = django_answer(by_django)
    instances = [make() for _ in range(3)]
    prepared = [lookups() for _ in range(3)]

    async def ask():
        answers = []
        for each in instances:

            async def answer():
                await aprefetch_related_objects(each, *prepared.pop())  # noqa: B023
                return each  # noqa: B023

            answers.append(await turbo_answer(answer))
        return answers

    assert run(ask) == [expected] * 3
    assert ("raised" in expected) is (case in REFUSED)


SLICED = ["reverse foreign key", "foreign key with NULL", "reverse one-to-one", "many-to-many"]


@pytest.mark.parametrize("case", [*SLICED, "to an attribute"])
def test_more_instances_than_a_slice(case, run):
    make, _ = PREFETCHES[case]
    expected = django_answer(lambda: [*make()])

    async def turns():
        nonlocal taken
        while True:
            await asyncio.sleep(0)
            taken += 1

    async def ask():
        nonlocal taken
        await make().alist()
        await make().alist()
        for size in (1_000, 2):
            with mock.patch("turbo_orm.orm.prefetch_level.SLICE", size):
                objects = await make().prefetch_related(None).alist()
                lookups = make()._prefetch_related_lookups
                task, taken = asyncio.ensure_future(turns()), 0
                await asyncio.sleep(0)
                with without_bridge():
                    await aprefetch_related_objects(objects, *lookups)
                task.cancel()
        return fingerprint(objects)

    taken = 0
    assert run(ask) == expected["returned"]
    assert taken > 2


@pytest.mark.parametrize("is_on_bridge", [False, True])
def test_what_is_prefetched_stays_young(is_on_bridge, run, monkeypatch):
    """They refer to each other: only a full collection would free them once they are old."""
    promoted = []
    monkeypatch.setattr(gc_control, "PROMOTED_SLICE", 1)
    monkeypatch.setattr(gc_control, "_promote", promoted.append)
    for module in (fetching, prefetch_level):
        monkeypatch.setattr(module, "MIN_PAUSE_ROWS", 0)

    async def ask(queryset):
        if is_on_bridge:
            return await bridge.run(lambda: list(queryset.all()))
        return await queryset.alist()

    async def steps():
        for _ in range(3):
            for queryset in (AUTHORS.prefetch_related("books"), BOOKS.prefetch_related("author")):
                await ask(queryset)
        assert promoted == []
        found = await ask(AUTHORS)
        assert promoted == [len(found)]

    run(steps)


def test_on_the_bridge_it_is_the_same(run):
    expected = django_answer(lambda: list(AUTHORS.prefetch_related("books__tags")))

    async def ask():
        for _ in range(3):
            with without_bridge():
                found = await bridge.run(lambda: list(AUTHORS.prefetch_related("books__tags")))
        return fingerprint(found)

    assert run(ask) == expected["returned"]


# What Django prefetches


def returning_none(manager):
    return Book.objects.none()


def as_it_is(manager, queryset):
    return queryset


class OverridingDescriptor(ReverseManyToOneDescriptor):
    pass


def test_relations_that_are_djangos(run):
    author = Author.objects.all()[0]
    assert relation_of(author, "books") is not None
    with mock.patch.object(Author, "books", OverridingDescriptor(Author.books.rel)):
        assert relation_of(author, "books") is None
    manager_class = Author.books.related_manager_cls
    with mock.patch.object(manager_class, "get_queryset", returning_none):
        assert relation_of(author, "books") is None
    with mock.patch.object(manager_class, "_apply_rel_filters", as_it_is):
        assert relation_of(author, "books") is None
    assert relation_of(author, "books") is not None
    assert relation_of(author, "name") is None
    assert relation_of(Book.objects.all()[0], "notes") is None


def test_a_replaced_manager_method_is_called(run):
    async def ask():
        for _ in range(3):
            await AUTHORS.prefetch_related("books").alist()
        with mock.patch.object(Author.books.related_manager_cls, "get_queryset", returning_none):
            found = await AUTHORS.prefetch_related("books").alist()
        held = [each._prefetched_objects_cache["books"] for each in found]
        # What the other method has returned, with the books that were prefetched.
        return {len(each._hints) for each in held}, sum(map(len, held))

    assert run(ask) == ({0}, 30)


def test_routers_are_asked_as_by_django(run):
    def asked(ask):
        with routed(router := Router()):
            ask()
        return router.asked

    def by_turbo():
        return run(AUTHORS.prefetch_related("books").alist)

    for _ in range(3):
        assert asked(by_turbo) == asked(lambda: list(AUTHORS.prefetch_related("books")))


class OwnIterable(ModelIterable):
    """As django-polymorphic has one."""


@pytest.mark.parametrize("whose", ["iterable", "compiler"])
def test_what_django_fetches_on_the_bridge_is_prefetched(whose, run, monkeypatch):
    queryset = AUTHORS.prefetch_related(Prefetch("books", THICK, "thick"))
    if whose == "iterable":
        queryset._iterable_class = OwnIterable
    else:
        # As django-cachalot replaces it.
        execute_sql = SQLCompiler.execute_sql
        monkeypatch.setattr(SQLCompiler, "execute_sql", lambda *a, **k: execute_sql(*a, **k))

    def read():
        return [(author.name, [book.title for book in author.thick]) for author in queryset.all()]

    expected = read()
    assert any(titles for _, titles in expected)
    assert run(lambda: bridge.run(read)) == expected
