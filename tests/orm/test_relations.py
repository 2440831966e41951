"""Relations that are followed: prefetches, related managers, generic relations, fetch modes."""

import django
import pytest
from django.contrib.contenttypes.models import ContentType
from django.contrib.contenttypes.prefetch import GenericPrefetch
from django.db import models
from django.db.models import Count, F, Prefetch, prefetch_related_objects

from tests.library.fields import Grammar, Language, OrderLine, Speaker
from tests.library.lineage import Building, Inn, Palace, Region, Tour
from tests.library.models import Author, Book, Note, Order, Tag
from tests.support.answers import django_answer, sync_answer, turbo_answer
from turbo_orm import bridge

BOOKS = Book.objects.order_by("pk")
AUTHORS = Author.objects.order_by("pk")
THICK = Book.objects.filter(pages__gt=200).order_by("pk")

PREFETCHES = {
    "with related": lambda: AUTHORS.prefetch_related(
        Prefetch("books", queryset=BOOKS.select_related("translator", "author"))
    ),
    "deferred": lambda: AUTHORS.prefetch_related(
        Prefetch("books", queryset=BOOKS.only("title", "author"))
    ),
    "with a deferred key": lambda: AUTHORS.prefetch_related(
        Prefetch("books", queryset=BOOKS.defer("author"))
    ),
    "annotated": lambda: AUTHORS.prefetch_related(
        Prefetch("books", queryset=BOOKS.annotate(n=Count("tags"), of=F("author__name")))
    ),
    "to an attribute": lambda: AUTHORS.prefetch_related(
        Prefetch("books", queryset=THICK, to_attr="thick"),
        Prefetch("thick__tags", to_attr="labels"),
        "thick__translator",
    ),
    "to several attributes": lambda: AUTHORS.prefetch_related(
        Prefetch("books", queryset=THICK, to_attr="thick"),
        Prefetch("books", queryset=BOOKS.filter(pages=0), to_attr="empty"),
        "books",
    ),
    "a related one to an attribute": lambda: BOOKS.prefetch_related(
        Prefetch("author", queryset=Author.objects.only("name"), to_attr="by")
    ),
    "sliced": lambda: AUTHORS.prefetch_related(Prefetch("books", queryset=BOOKS[:2])),
    "through what is selected": lambda: BOOKS.select_related("author").prefetch_related(
        "author__profile", "author__friends", "translator__books"
    ),
    "to themselves": lambda: AUTHORS.prefetch_related("friends__friends__books"),
    "from themselves": lambda: Speaker.objects.order_by("pk").prefetch_related("pupils__teacher"),
    "to a field that is no key": lambda: Speaker.objects.order_by("pk").prefetch_related("second"),
    "from a field that is no key": lambda: Language.objects.order_by("pk").prefetch_related(
        "learners", "speakers", "grammar__chapters"
    ),
    "by a key that is a relation": lambda: Grammar.objects.order_by("pk").prefetch_related(
        "chapters", "language__speakers"
    ),
    "by a composite key": lambda: OrderLine.objects.order_by("pk").prefetch_related(
        "order__lines"
    ),
    "of a composite key": lambda: Order.objects.order_by("number").prefetch_related("lines"),
    "generic": lambda: Note.objects.order_by("pk").prefetch_related(
        "target__author", "target__tags"
    ),
    "generic, by querysets": lambda: Note.objects.order_by("pk").prefetch_related(
        GenericPrefetch("target", [BOOKS.only("title"), Author.objects.all()])
    ),
    "generic, reverse": lambda: BOOKS.prefetch_related(
        Prefetch("notes", queryset=Note.objects.select_related("content_type"), to_attr="said")
    ),
    "across tables": lambda: Region.objects.order_by("pk").prefetch_related(
        "buildings__inn__rivals", "buildings__tours"
    ),
    "of a child": lambda: Palace.objects.order_by("pk").prefetch_related(
        "region", "rival", "twin__twins", "tours", "inn_tours"
    ),
    "to children": lambda: Tour.objects.order_by("pk").prefetch_related(
        "palace__twin", "inn__rivals", "previous", "next__building"
    ),
    "of nothing": lambda: AUTHORS.none().prefetch_related("books"),
    "of no relation": lambda: AUTHORS.prefetch_related("no_such_relation"),
    "of a plain field": lambda: AUTHORS.prefetch_related("name"),
    "undone": lambda: AUTHORS.prefetch_related("books").prefetch_related(None),
}
REFUSED = {
    "of a plain field": ValueError,
    "of no relation": AttributeError,
    "sliced": TypeError,
}


@pytest.mark.parametrize("case", PREFETCHES)
def test_prefetches(case, read):
    read(PREFETCHES[case], raises=REFUSED.get(case))


# What a related manager knows of its rows


def of(model, relation, **lookup):
    """Return a function that makes the queryset of a related manager."""
    return lambda: getattr(model.objects.get(**lookup), relation).order_by("pk")


ADAS = of(Author, "books", name="Ada")

MANAGED = {
    "foreign key": ADAS,
    "filtered": lambda: ADAS().filter(pages__gt=100).exclude(title="x"),
    "deferred": lambda: ADAS().only("title"),
    "with a deferred key": lambda: ADAS().defer("author"),
    "selected": lambda: ADAS().select_related("author"),
    "selected otherwise": lambda: ADAS().select_related("translator"),
    "annotated": lambda: ADAS().annotate(n=Count("tags")),
    "dicts": lambda: ADAS().values("author", "title"),
    "of two": lambda: ADAS() | of(Author, "books", name="Bo")(),
    "of two, and none": lambda: ADAS() & of(Author, "books", name="Bo")(),
    "prefetched": lambda: ADAS().prefetch_related("author", "translator__books"),
    "nullable": of(Author, "translated", name="Zoë"),
    "by a field that is no key": of(Language, "learners", code="en"),
    "by text": of(Language, "speakers", code="ü"),
    "by a key that is a relation": of(Grammar, "chapters", pk="en"),
    "by a composite key": of(Order, "lines", number=2),
    "its queryset": lambda: Author.objects.get(name="Ada").books.get_queryset().order_by("pk"),
    "many to many, its queryset": lambda: Book.objects.get(pk=4).tags.get_queryset(),
    "generic, its queryset": lambda: Book.objects.get(pk=6).notes.get_queryset(),
    "many to many": of(Book, "tags", title="Book 3"),
    "many to many, reverse": lambda: of(Tag, "books", label="tag-1")().select_related("author"),
    "to themselves": of(Author, "friends", name="Ada"),
    "generic": of(Book, "notes", title="Book 5"),
    "of a child": of(Palace, "tours_of_it", pk=6),
    "of a parent": of(Palace, "inn_tours", pk=6),
    "of a parent's parent": of(Palace, "tours", pk=6),
    "to children": of(Inn, "rivals", pk=4),
}


@pytest.mark.parametrize("case", MANAGED)
def test_related_managers(case, read):
    read(MANAGED[case])


def test_rows_of_a_related_manager_refer_to_its_instance(library, run):
    ada = Author.objects.get(name="Ada")
    for books in (list(ada.books.all()), run(ada.books.alist), list(ada.books.iterator())):
        assert {id(book.author) for book in books} == {id(ada)}


def test_what_is_prefetched_refers_back(library, run):
    authors = run(AUTHORS.prefetch_related("books").alist)
    assert all(book.author is author for author in authors for book in author.books.all())


# Instances that are fetched already


def prefetched(lookups, make):
    def answer():
        instances = make()
        prefetch_related_objects(instances, *lookups)
        return instances

    return answer


INSTANCES = {
    "once more": (["books"], lambda: list(AUTHORS.prefetch_related("books"))),
    "the rest": (["books__tags"], lambda: list(AUTHORS.prefetch_related("books"))),
    "of one": (["author__books"], lambda: [Book.objects.get(title="Book 3")]),
    "of no row": (["books"], lambda: [Author(pk=1)]),
}


@pytest.mark.parametrize("case", INSTANCES)
def test_prefetch_related_objects(case, library, run):
    expected = django_answer(prefetched(*INSTANCES[case]))
    assert sync_answer(prefetched(*INSTANCES[case])) == expected
    bridged = prefetched(*INSTANCES[case])
    assert run(lambda: turbo_answer(lambda: bridge.run(bridged))) == expected
    assert "returned" in expected


# The querysets that prefetches are made of


def parts(found):
    """Return what Django works on: rows, and what matches them to instances."""
    rows, key_of_row, key_of_instance, *rest = found
    return list(rows), [key_of_row(row) for row in rows], key_of_instance, rest


def asked_of(instances, relation, **kwargs):
    def answer():
        found = list(instances())
        method = "get_prefetch_querysets" if "querysets" in kwargs else "get_prefetch_queryset"
        rows, keys, key_of, rest = parts(
            getattr(getattr(found[0], relation), method)(found, **kwargs)
        )
        return rows, keys, [key_of(instance) for instance in found], rest

    return answer


RELATIONS = {
    "reverse foreign key": (lambda: AUTHORS.all(), "books", BOOKS),
    "many to many": (lambda: BOOKS[3:7], "tags", Tag.objects.order_by("pk")),
    "generic": (lambda: BOOKS[:7], "notes", Note.objects.order_by("pk")),
}


@pytest.mark.parametrize("case", RELATIONS)
@pytest.mark.parametrize("given", [True, False])
def test_the_querysets_of_a_prefetch(given, case, library, run):
    instances, relation, queryset = RELATIONS[case]

    def make():
        querysets = [queryset.all()] if given else None
        return asked_of(instances, relation, querysets=querysets)

    compare(make, run)


@pytest.mark.skipif(django.VERSION >= (6, 0), reason="Django has it no more")
@pytest.mark.filterwarnings("ignore:get_prefetch_queryset")
@pytest.mark.parametrize("case", RELATIONS)
def test_the_queryset_of_a_prefetch(case, library, run):
    instances, relation, queryset = RELATIONS[case]
    compare(lambda: asked_of(instances, relation, queryset=queryset.all()), run)


def compare(make, run):
    ContentType.objects.get_for_model(Book)
    expected = django_answer(make())
    assert sync_answer(make()) == expected
    ours = make()
    assert run(lambda: turbo_answer(lambda: bridge.run(ours))) == expected
    assert "returned" in expected


def test_what_a_manager_has_prefetched(library, run):
    (book,) = run(BOOKS.filter(title="Book 3").prefetch_related("tags").alist)
    cached = book.tags.get_prefetch_cache()
    assert {tag.label for tag in cached} == {"tag-0", "tag-1", "tag-2"}
    assert Book(pk=book.pk).tags.get_prefetch_cache() is None


# Fetch modes

MODES = ["FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE"]
fetch_modes = pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes came with 6.1")

MODED = {
    "plain": lambda: BOOKS,
    "deferred": lambda: BOOKS.only("title"),
    "related": lambda: BOOKS.select_related("author__profile", "translator"),
    "related, deferred": lambda: BOOKS.select_related("author").only("author__name"),
    "reverse": lambda: AUTHORS.select_related("profile"),
    "prefetched": lambda: AUTHORS.prefetch_related("books__translator", "profile"),
    "to an attribute": lambda: AUTHORS.prefetch_related(
        Prefetch("books", queryset=THICK.all(), to_attr="thick")
    ),
    "children": lambda: Palace.objects.select_related("region", "rival").order_by("pk"),
    "from a parent": lambda: Building.objects.select_related("inn__as_palace").order_by("pk"),
    "generic": lambda: Note.objects.prefetch_related("target").order_by("pk"),
    "managed": ADAS,
    "a from_db of its own": lambda: Building.objects.select_related("cottage").order_by("pk"),
}


@fetch_modes
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", MODED)
def test_fetch_modes(case, mode, read):
    read(lambda: MODED[case]().fetch_mode(getattr(models, mode)))


FETCHED = {
    "a deferred field": (lambda: BOOKS.only("title"), lambda book: book.pages),
    "a related instance": (lambda: BOOKS.all(), lambda book: book.author),
    "one of a related one": (
        lambda: BOOKS.select_related("author"),
        lambda book: hasattr(book.author, "profile"),
    ),
    "a deferred field of a related one": (
        lambda: BOOKS.select_related("author").only("author__id"),
        lambda book: book.author.name,
    ),
    "a child": (lambda: Building.objects.order_by("pk"), lambda b: hasattr(b, "inn")),
    "a generic target": (lambda: Note.objects.order_by("pk"), lambda note: note.target),
}


@fetch_modes
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", FETCHED)
def test_what_is_fetched_of_peers(case, mode, library, run):
    make, work = FETCHED[case]

    def answer():
        instances = list(make().fetch_mode(getattr(models, mode)))
        return [work(instance) for instance in instances], instances

    expected = django_answer(answer)
    assert sync_answer(answer) == expected
    assert run(lambda: turbo_answer(lambda: bridge.run(answer))) == expected
    if mode == "FETCH_PEERS":
        assert len(expected["statements"]) == 2
