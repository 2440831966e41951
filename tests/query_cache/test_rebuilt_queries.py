"""What Django does with querysets that a shape tells: it gets their queries, as it knows them."""

import copy
import pickle

import pytest
from django import VERSION
from django.db import models as django_models
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Q, Subquery, Value

from tests.library.fields import Speaker
from tests.library.lineage import Palace
from tests.library.models import Author, Book, Order, PrintedBook, Sample, Tag
from tests.support.answers import django_answer, django_hydrates, fingerprint, turbo_answer
from turbo_orm import AsyncManager, AsyncQuerySet, bridge

pytestmark = pytest.mark.usefixtures("library")


def books(pages=100):
    """Three steps, the first of which is learnt by whoever asks first."""
    return Book.objects.filter(pages__gte=pages).exclude(tags__label="tag-0").order_by("pk")


def authors():
    return Author.objects.filter(pk__lte=4).annotate(n=Count("books")).filter(n__gt=0)


def pickled_query(queryset):
    again = Book.objects.all()
    again.query = pickle.loads(pickle.dumps(queryset.query))
    return again


# Made of a queryset that a shape tells, each gives another queryset.
MADE = {
    "a copy": lambda: copy.deepcopy(books()),
    "a pickled query": lambda: pickled_query(books()),
    "and": lambda: books() & books(200),
    "or": lambda: books() | books(200).filter(title__contains="1"),
    "xor": lambda: books().order_by() ^ books(200).order_by(),
    "with itself": lambda: (lambda one: one & one)(books()),
    "a union": lambda: books().union(books(200)).order_by("title"),
    "an intersection": lambda: books().intersection(books(200)),
    "a difference": lambda: books().difference(books(200)),
    "in a subquery": lambda: Author.objects.filter(books__in=books()).distinct(),
    "in values": lambda: Author.objects.filter(pk__in=books().values("author")),
    "not in a slice": lambda: Author.objects.exclude(pk__in=books().values("author_id")[:1]),
    "as a value": lambda: Book.objects.filter(author=authors()[:1]),
    "Exists": lambda: Author.objects.filter(Exists(books().filter(author=OuterRef("pk")))),
    "not Exists": lambda: Author.objects.annotate(
        x=~Exists(books().filter(author=OuterRef("pk")))
    ),
    "a Subquery": lambda: Author.objects.annotate(
        x=Subquery(books().filter(author=OuterRef("pk")).values("title")[:1])
    ),
    "extra": lambda: books().extra(where=["pages < %s"], params=[400]),
    "dates": lambda: books().datetimes("published", "year"),
    "none": lambda: books().none(),
    "complex_filter": lambda: books().complex_filter({"pages__lt": 300}),
    "using": lambda: books().using("default").filter(pages__lt=300),
    "reversed twice": lambda: books().reverse().reverse(),
    "sliced twice": lambda: books()[1:6][1:3],
    "nothing deferred": lambda: books().defer("title").defer(None).only("pages"),
    "no prefetches": lambda: books().prefetch_related("tags").prefetch_related(None),
    "Prefetch": lambda: authors().prefetch_related(
        Prefetch("books", queryset=books().only("author"), to_attr="thick"), "books__tags"
    ),
    "prefetched twice": lambda: books().prefetch_related("tags").prefetch_related("notes"),
    "a manager that filters": lambda: PrintedBook.printed.filter(pages__gt=100).order_by("pk"),
    "a method of a queryset": lambda: PrintedBook.by_pages.thick().filter(pk__gt=2).order_by("pk"),
    "a related manager": lambda: Author.objects.get(pk=1).books.filter(pages__gt=9).order_by("pk"),
    "many to many": lambda: Book.objects.get(title="Book 3").tags.filter(books__pages__gt=9),
    "many to many, both ways": lambda: Tag.objects.get(pk=1).books.exclude(tags__label="tag-1"),
    "generic": lambda: Book.objects.get(title="Book 5").notes.filter(text__contains="5"),
    "of another model": lambda: Palace.objects.filter(towers__gte=0).order_by("pk"),
    "a composite key": lambda: Order.objects.filter(pk__in=[(0, 2), (1, 1)]).order_by("pk"),
    "two conditions on a relation": lambda: Book.objects.filter(
        tags__label="tag-0", tags__pk=1
    ).filter(tags__label="tag-1"),
    "a condition as a value": lambda: Book.objects.filter(Q(pages__gt=F("pk")) & Q(pk__gt=3)),
    "literal percents": lambda: Book.objects.annotate(x=Value("100 %s %%")).filter(title="%s"),
    "in bulk of peers": lambda: Speaker.objects.filter(first__speakers__second__name="en-speak"),
}


@pytest.mark.parametrize("case", MADE)
def test_what_is_made_of_one(case, run):
    """Thrice: by Django, by what learns, and by what was learnt."""
    with django_hydrates():
        django = MADE[case]()
        expected = django_answer(lambda: list(django))
    assert "returned" in expected
    for _ in range(3):
        ours = MADE[case]()
        assert run(lambda: turbo_answer(ours.alist)) == expected  # noqa: B023


ASKED = {
    "its SQL": lambda queryset: str(queryset.query),
    "whether it is ordered": lambda queryset: queryset.ordered,
    "its plan": lambda queryset: queryset.explain(),
    "an iterator": lambda queryset: list(queryset.iterator(chunk_size=2)),
    "one": lambda queryset: queryset[2],
    "some": lambda queryset: list(queryset[0:9:3]),
    "its length": lambda queryset: len(queryset),
    "pickled": lambda queryset: list(pickle.loads(pickle.dumps(queryset))),
    "copied": lambda queryset: list(copy.copy(queryset)),
    "representation": repr,
    "aggregates": lambda queryset: queryset.aggregate(n=Count("tags")),
    "the latest": lambda queryset: queryset.latest("pages", "pk"),
    "in bulk": lambda queryset: queryset.in_bulk([3, 4]),
    "contains": lambda queryset: queryset.contains(Book(pk=4)),
    "the raw SQL": lambda queryset: queryset.query.sql_with_params(),
}


@pytest.mark.parametrize("case", ASKED)
def test_what_is_asked_of_one(case, run):
    with django_hydrates():
        expected = django_answer(lambda: ASKED[case](books()))
    assert "returned" in expected
    for _ in range(2):
        ours = books()
        assert run(lambda: turbo_answer(lambda: bridge.run(ASKED[case], ours))) == expected  # noqa: B023
        # Whatever it was asked, it is the same queryset.
        assert [book.pk for book in run(ours.all().alist)] == [book.pk for book in books()]


def test_a_query_that_is_changed_by_hand(run):
    run(books().alist)
    changed, kept = books(), books()
    held = kept.filter(pk__gt=0)
    query = changed.query
    before = len(run(changed.all().alist))
    query.add_q(Q(title="Book 8"))
    assert [book.title for book in run(changed.alist)] == ["Book 8"]
    assert [book.title for book in run(changed.filter(pk__gt=0).alist)] == ["Book 8"]
    assert run(changed.acount) == 1
    query.set_empty()
    assert run(changed.all().alist) == []
    assert len(run(kept.alist)) == len(run(held.alist)) == before > 1


def test_an_instance_whose_key_changes(run):
    author = Author.objects.get(pk=1)
    for method in ("filter", "exclude"):
        for _ in range(2):
            author.pk = 1
            queryset = getattr(Book.objects, method)(author=author).order_by("pk")
            expected = list(getattr(Book.objects, method)(author=1).order_by("pk"))
            author.pk = 3
            assert run(queryset.all().alist) == expected
            assert run(queryset.filter(pk__gt=0).alist) == expected
            assert run(bridge_list(queryset)) == expected


def bridge_list(queryset):
    return lambda: bridge.run(list, queryset.all())


class Overriding(AsyncQuerySet):
    """Has methods of its own in the place of Django's; each says that it was called."""

    calls: list[str] = []


def overriding(name):
    def method(self, *args, **kwargs):
        Overriding.calls.append(name)
        return getattr(AsyncQuerySet, name)(self, *args, **kwargs)

    return type("One", (Overriding,), {name: method})


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("get", lambda queryset: queryset.aget(pk=1)),
        ("filter", lambda queryset: queryset.aget(pk=1)),
        ("filter", lambda queryset: queryset.filter(pk=1).alist()),
        ("_clone", lambda queryset: queryset.all().alist()),
        ("_chain", lambda queryset: queryset.order_by("pk").alist()),
        ("_fetch_all", lambda queryset: queryset.alist()),
        ("count", lambda queryset: queryset.acount()),
        ("exists", lambda queryset: queryset.aexists()),
        ("first", lambda queryset: queryset.afirst()),
        ("last", lambda queryset: queryset.alast()),
        ("reverse", lambda queryset: queryset.alast()),
        ("__getitem__", lambda queryset: queryset.afirst()),
        ("__init__", lambda queryset: queryset.alist()),
        ("_filter_or_exclude_inplace", lambda queryset: queryset.aget(pk=1)),
        ("annotate", lambda queryset: queryset.annotate(x=F("pk")).alist()),
    ],
)
def test_a_method_in_the_place_of_djangos(name, ask, run):
    manager = AsyncManager.from_queryset(overriding(name))()
    manager.model, manager.name = Author, "objects"
    for _ in range(3):
        Overriding.calls.clear()
        run(lambda: ask(manager.get_queryset()))
        assert name in Overriding.calls


@pytest.mark.skipif(VERSION < (6, 1), reason="fetch modes came with 6.1")
@pytest.mark.parametrize("mode", ["FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE"])
def test_fetch_modes(mode, run):
    mode = getattr(django_models, mode)
    for _ in range(3):
        found = run(books().fetch_mode(mode).alist)
        assert {book._state.fetch_mode for book in found} == {mode}
        assert len(found[0]._state.peers) == (len(found) if mode.track_peers else 0)
        plain = run(books().alist)
        assert {book._state.fetch_mode for book in plain} == {django_models.FETCH_ONE}


def test_a_known_queryset_does_not_keep_its_values():
    """What is kept is the structure: another value's answer is another."""
    texts = [f"text {number}" for number in range(3)]
    found = [str(Sample.objects.filter(text=text).query) for text in texts]
    assert all(text in sql for text, sql in zip(texts, found, strict=True))
    assert fingerprint(found) != fingerprint(found[:1] * 3)
