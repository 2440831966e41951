"""Querysets as values, in subqueries and combined with others: what is cached, and what is not."""

import copy
import gc
import pickle
import weakref

import pytest
from django import VERSION
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    Count,
    Exists,
    F,
    IntegerField,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from tests.library.fields import OrderLine
from tests.library.lineage import Palace
from tests.library.models import Author, Book, Entry, Order, PagesQuerySet, Sample, Tag
from tests.support.answers import django_answer, django_hydrates, fingerprint, turbo_answer
from tests.support.counting import counted
from turbo_orm import AsyncQuerySet, explain_cache
from turbo_orm.query_cache import tracing
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.usefixtures("library", "empty_cache")


def books(pages):
    return Book.objects.filter(pages__gt=37 * pages)


def of_author(pages):
    return books(pages).filter(author=OuterRef("pk"))


def titles(pages):
    return of_author(pages).order_by("-pk").values("title")


# Each is made of 1, 2 and 3.
HITS = {
    "in": lambda n: Book.objects.filter(pk__in=books(n)).order_by("pk"),
    "in a column": lambda n: Author.objects.filter(pk__in=books(n).values("author")),
    "in a list of a column": lambda n: Author.objects.filter(
        pk__in=books(n).values_list("author", flat=True)
    ),
    "in a relation": lambda n: Book.objects.filter(author__in=Author.objects.filter(pk__gt=n)),
    "in the reverse of a relation": lambda n: Author.objects.filter(books__in=books(n)).distinct(),
    "not in": lambda n: Author.objects.exclude(pk__in=books(n).values("author")),
    "not in the reverse": lambda n: Author.objects.exclude(books__in=books(n)),
    "in all": lambda n: Author.objects.filter(pk__in=Book.objects.values("author"), pk__gt=n),
    "equal": lambda n: Book.objects.filter(author=Author.objects.filter(pk__gt=n)[:1]),
    "greater": lambda n: Book.objects.filter(
        pages__gt=books(n).order_by("pages").values("pages")[:1]
    ),
    "in a slice": lambda n: Book.objects.filter(pk__in=books(n).order_by("-pk")[1:4]),
    "in one that is in another": lambda n: Tag.objects.filter(
        books__in=Book.objects.filter(author__in=Author.objects.filter(pk__lte=n))
    ),
    "in a list": lambda n: Author.objects.filter(
        pk__in=Book.objects.filter(pages__in=[37 * each for each in range(n + 1)]).values("author")
    ),
    "prepared values": lambda n: Author.objects.filter(
        pk__in=Book.objects.filter(pages__gt=str(37 * n), author=Author(pk=n)).values("author")
    ),
    "Exists": lambda n: Author.objects.filter(Exists(of_author(n))),
    "not Exists": lambda n: Author.objects.filter(~Exists(of_author(n))),
    "exclude Exists": lambda n: Author.objects.exclude(Exists(of_author(n)), pk__lt=2),
    "Exists or": lambda n: Author.objects.filter(Q(Exists(of_author(n))) | Q(pk=n)),
    "Exists and not": lambda n: Author.objects.filter(Exists(of_author(n)) & ~Q(pk=n)),
    "an annotation": lambda n: Author.objects.annotate(e=Exists(of_author(n))),
    "a Subquery": lambda n: Author.objects.annotate(t=Subquery(titles(n)[:1])),
    "of a field": lambda n: Author.objects.annotate(
        t=Subquery(titles(n).values("pages")[:1], output_field=IntegerField())
    ),
    "a queryset": lambda n: Author.objects.annotate(t=titles(n)[:1]).filter(t__gt=""),
    "inside": lambda n: Author.objects.annotate(t=Coalesce(Subquery(titles(n)[:1]), Value("?"))),
    "an array": lambda n: Author.objects.annotate(t=ArraySubquery(titles(n))),
    "a count": lambda n: Author.objects.annotate(
        n=Subquery(
            of_author(n).order_by().values("author").annotate(n=Count("pk")).values("n")[:1]
        )
    ),
    "an ordering": lambda n: Author.objects.order_by(Subquery(titles(n)[:1]).desc(), "pk"),
    "values": lambda n: Author.objects.values("pk", t=Subquery(titles(n)[:1])),
    "an alias": lambda n: Author.objects.alias(t=Subquery(titles(n)[:1])).filter(t__gt=""),
    "a number that is compared": lambda n: Author.objects.alias(
        t=Subquery(titles(n).values("pages")[:1])
    ).filter(t__gt=37, t__lt=37 * n + 2000),
    "a text that is compared": lambda n: Author.objects.alias(
        t=Subquery(titles(n).values("pages")[:1])
    ).filter(t__gt="37", t__in=[37 * each for each in range(n, 30)]),
    "a part of a subquery": lambda n: Author.objects.alias(t=Subquery(titles(n)[:1])).exclude(
        t__icontains=str(n)
    ),
    "two levels": lambda n: Author.objects.filter(
        Exists(
            books(n).filter(
                Exists(
                    Tag.objects.filter(
                        books=OuterRef("pk"), books__author=OuterRef(OuterRef("pk"))
                    )
                )
            )
        )
    ),
    "a sliced list": lambda n: Author.objects.filter(Exists(of_author(n)))[:n],
    "twice": lambda n: Author.objects.filter(
        Q(pk__in=books(n).values("author")) | Q(pk__in=books(n).values("translator"))
    ),
    "of a related manager": lambda n: Author.objects.filter(
        pk__in=Author(pk=n).books.values("translator")
    ),
    "an inherited model": lambda n: Palace.objects.filter(pk__in=Palace.objects.filter(towers=n)),
    "a composite key": lambda n: OrderLine.objects.filter(order__in=Order.objects.filter(shop=n)),
    "a union": lambda n: books(n).union(Book.objects.filter(pk__lt=n)),
    "a union of all": lambda n: books(n).union(books(n), all=True).order_by("pk"),
    "a union of three": lambda n: books(n).union(books(n + 1), Book.objects.filter(pk=n)),
    "an intersection": lambda n: books(n).intersection(Book.objects.filter(pk__lt=9 + n)),
    "a difference": lambda n: books(n).difference(books(n + 1)).order_by("title")[:3],
    "a union of values": lambda n: books(n).values("pk").union(Tag.objects.values("pk")),
    "values of a union": lambda n: books(n).union(books(9)).values_list("title", "pk"),
    "a union of a slice": lambda n: (
        books(n).order_by("pk")[:2].union(books(n).order_by("-pk")[:3])
    ),
    "a union of a union": lambda n: books(n).union(Book.objects.filter(pk=1)).union(books(9)),
    "in a union": lambda n: Author.objects.filter(
        pk__in=books(n).values("author").union(books(n).values("translator"))
    ),
}


@pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare")
@pytest.mark.parametrize("case", HITS)
def test_nothing_of_a_query_is_built(case, run):
    make = HITS[case]

    async def counts():
        await make(1).alist()
        for _ in range(2):
            await make(2).alist()
        with counted() as count:
            await make(3).alist()
        return count, explain_cache(make(3))

    count, explained = run(counts)
    assert explained.outcome == "hit", explained
    assert count == {"made": 0, "compiled": 0}


@pytest.mark.parametrize("terminal", ["alist", "acount", "aexists", "afirst", "alast", "aget"])
@pytest.mark.parametrize("case", HITS)
def test_the_same_as_django(case, terminal, chains):
    chains(HITS[case], 1, 2, 3, 1, 2**40 if "range" in case else 4, terminal=terminal)


ODD = {
    "nothing in a list": lambda n: Author.objects.filter(
        pk__in=Book.objects.filter(pk__in=[*range(n)]).values("author")
    ),
    "not in nothing": lambda n: Author.objects.exclude(
        pk__in=Book.objects.filter(pk__in=[*range(n)]).values("author")
    ),
    "too large": lambda n: Author.objects.filter(~Exists(Book.objects.filter(pages=n * 2**40))),
    "too large in a union": lambda n: Book.objects.filter(pk=1).union(
        Book.objects.filter(pages=n * 2**40)
    ),
    "none": lambda n: Author.objects.filter(pk__in=books(n).none().values("author")),
    "a union of none": lambda n: books(n).union(books(n).none()),
    "a difference of none": lambda n: books(n).none().difference(books(n)),
    "no union": lambda n: books(n).order_by("pk").union(),
    "another length": lambda n: Book.objects.filter(pk__in=books(1)[:n]).order_by("pk"),
    "no rows": lambda n: Book.objects.filter(pk__in=books(1)[:0]),
    "wrong model": lambda n: Book.objects.filter(author__in=Tag.objects.filter(pk=n)),
    "two columns": lambda n: Book.objects.filter(pk__in=books(n).values("pk", "title")),
    "no outer query": lambda n: books(n).filter(author=OuterRef("pk")),
    "another database": lambda n: Book.objects.filter(pk__in=books(n).using("other")),
    "a union of another": lambda n: books(n).union(books(n).using("other")),
    "another database in Exists": lambda n: Author.objects.filter(Exists(books(n).using("other"))),
    "NULL": lambda n: Book.objects.filter(translator__in=Author.objects.filter(born=None)),
    "an unsaved instance": lambda n: Book.objects.filter(
        author__in=Author.objects.filter(books=Book(pk=n if n % 2 else None))
    ),
    "equal in groups": lambda n: Author.objects.annotate(
        a=Exists(of_author(1)), b=Exists(of_author(n))
    ).annotate(n=Count("books")),
    "equal and ordered": lambda n: Author.objects.order_by(
        Subquery(titles(1)[:1]), Subquery(titles(n)[:1]), "pk"
    ),
    "a constant": lambda n: Author.objects.filter(
        pk__in=Book.objects.annotate(x=F("pages") + n).filter(x__gt=37 * n).values("author")
    ),
    "compared with an outer column": lambda n: Author.objects.filter(
        Exists(Book.objects.annotate(x=F("pages") + OuterRef("pk")).filter(x__gt=str(n)))
    ),
    "a slice, and values": lambda n: books(n).order_by("pk")[:3].annotate(x=Value(n)),
    "with a lock": lambda n: Author.objects.filter(pk__in=books(n).select_for_update()),
    "raw": lambda n: Author.objects.filter(
        pk__in=Book.objects.annotate(x=RawSQL("pages", [])).filter(x__gt=n).values("author")
    ),
    "of a query": lambda n: Author.objects.filter(Exists(of_author(n).query)),
    "a template": lambda n: Author.objects.annotate(
        n=Subquery(of_author(n).values("pk"), template="(SELECT COUNT(*) FROM (%(subquery)s) x)")
    ),
    "a class of its own": lambda n: Author.objects.annotate(x=Counting(of_author(n).values("pk"))),
    "a key that is compared": lambda n: Book.objects.alias(
        t=Subquery(Author.objects.filter(pk=OuterRef("author")).values("pk")[:1])
    ).filter(t=n * 2**40),
    "an instance that is compared": lambda n: Book.objects.alias(
        t=Subquery(Book.objects.filter(pk=OuterRef("pk")).values("author")[:1])
    ).filter(t=Author(pk=n)),
    "JSON": lambda n: Sample.objects.filter(data__in=Sample.objects.filter(pk=n).values("data")),
}


class Counting(Subquery):
    template = "(SELECT COUNT(*) FROM (%(subquery)s) x)"
    output_field = IntegerField()


@pytest.mark.parametrize("terminal", ["alist", "acount", "aexists", "afirst"])
@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_as_django_has_it(case, terminal, chains):
    chains(ODD[case], 1, 2, 1, 0, 3, 1, terminal=terminal)


# Django refuses most that follows on a combination.
AFTER = {
    "get": lambda queryset: queryset.aget(pk=1),
    "one": lambda queryset: queryset.order_by("pk")[:1].aget(),
    "contains": lambda queryset: queryset.acontains(Book(pk=1)),
    "in bulk": lambda queryset: queryset.ain_bulk([1]),
    "all in bulk": lambda queryset: queryset.ain_bulk(),
    "earliest": lambda queryset: queryset.aearliest("pk"),
    "latest": lambda queryset: queryset.alatest(),
    "aggregate": lambda queryset: queryset.aaggregate(n=Count("pk")),
    "update": lambda queryset: queryset.aupdate(pages=1),
    "delete": lambda queryset: queryset.adelete(),
    "get or create": lambda queryset: queryset.aget_or_create(pk=1),
    "filter": lambda queryset: queryset.filter(pk=1).alist(),
    "exclude": lambda queryset: queryset.exclude(pk=1).alist(),
    "annotate": lambda queryset: queryset.annotate(n=Count("pk")).alist(),
    "distinct": lambda queryset: queryset.distinct().alist(),
    "defer": lambda queryset: queryset.defer("title").alist(),
    "select_related": lambda queryset: queryset.select_related("author").alist(),
    "prefetch_related": lambda queryset: queryset.prefetch_related("tags").alist(),
    "and": lambda queryset: (queryset & queryset).alist(),
    "locks": lambda queryset: queryset.select_for_update().alist(),
    "reverse": lambda queryset: queryset.order_by("pk").reverse().alist(),
    "all": lambda queryset: queryset.all().order_by("-title").alist(),
    "dates": lambda queryset: queryset.datetimes("published", "year").alist(),
    "last": lambda queryset: queryset.alast(),
    "explain": lambda queryset: queryset.order_by("pk").aexplain(),
}


@pytest.mark.parametrize("case", AFTER)
def test_what_follows_on_a_union(case, run):
    def make():
        return books(1).union(books(2))

    async def answer():
        try:
            return fingerprint(await AFTER[case](make()))
        except Exception as exc:
            return type(exc), str(exc)

    with django_hydrates():
        expected = run(answer)
    for _ in range(3):
        run(lambda: make().alist())
        assert run(answer) == expected


# What happens to the inner queryset, and to the expression


@pytest.fixture
def asked(run):
    """Return a function that has a queryset of Django's making and ours made, and compares."""

    def asked(make):
        with django_hydrates():
            expected = django_answer(lambda: list(make()))
        found = [run(lambda: turbo_answer(make().alist)) for _ in range(3)]
        assert found == [expected] * 3
        return found[0]

    return asked


@pytest.mark.parametrize(
    "use",
    [
        lambda queryset: Author.objects.filter(pk__in=queryset),
        lambda queryset: Author.objects.filter(Exists(queryset)),
        lambda queryset: Author.objects.annotate(x=Subquery(queryset[:1])),
        lambda queryset: Author.objects.annotate(x=queryset[:1]),
        lambda queryset: Tag.objects.values("pk").union(queryset),
        lambda queryset: queryset.union(Tag.objects.values("pk")),
    ],
)
def test_the_inner_queryset_stays_as_it_is(use, run):
    for _ in range(3):
        Book.objects.filter(pages__gt=37).values("author")
    inner = Book.objects.filter(pages__gt=37).values("author")
    chain = inner._cached
    assert chain is not None
    for _ in range(4):
        run(lambda: use(inner).alist())
        assert inner._cached is chain
        assert inner._result_cache is None


def test_one_that_is_made_once(run):
    """A queryset, and an expression, that stand in a module."""
    inner = books(1).values("author")
    exists, column = Exists(of_author(1)), Subquery(titles(1)[:1])
    makes = [
        lambda: Author.objects.filter(pk__in=inner),
        lambda: Author.objects.filter(exists),
        lambda: Author.objects.annotate(x=column),
        lambda: Author.objects.annotate(x=Coalesce(column, Value("?"))),
    ]
    for make in makes:
        found = [fingerprint(run(make().alist)) for _ in range(3)]
        assert found == [fingerprint(list(make()))] * 3
        assert explain_cache(make()).outcome == "hit"


def test_one_that_has_its_results(run):
    def inner():
        return books(1).order_by("author__name")

    def outer(inner):
        columns = inner.values("author")
        return Author.objects.filter(pk__in=columns, books__in=inner).distinct()

    with django_hydrates():
        evaluated = inner()
        list(evaluated)
        expected = django_answer(lambda: list(outer(evaluated)))

    async def answer():
        evaluated = inner()
        await evaluated.alist()
        found = await turbo_answer(outer(evaluated).alist)
        assert "has its results" in explain_cache(outer(evaluated)).reason
        return found

    for _ in range(3):
        assert run(answer) == expected


def test_a_list_that_is_changed_afterwards(asked):
    def make(pages):
        books = Book.objects.filter(pages__in=pages)
        made = [
            Author.objects.filter(pk__in=books.values("author")),
            Author.objects.filter(Exists(books.filter(author=OuterRef("pk")))),
        ]
        pages.append(74)
        return made

    for index in range(2):
        asked(lambda: make([37])[index])  # noqa: B023


@pytest.mark.skipif(VERSION < (6, 1), reason="Django cannot do so before")
def test_a_queryset_that_is_changed_in_place(asked):
    def make():
        inner = of_author(1)
        exists = Exists(inner)
        inner._disable_cloning()
        inner.filter(pages__lt=2)
        return Author.objects.filter(exists, ~Exists(inner))

    asked(make)


def change_limits(expression):
    expression.query.set_limits(1, 2)
    return expression


CHANGED = {
    "query": change_limits,
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "pickle": lambda expression: pickle.loads(pickle.dumps(expression)),
    "copied by Django": lambda expression: expression.copy(),
    "its sources": lambda expression: expression.get_source_expressions() and expression,
    "an attribute": lambda expression: (
        setattr(expression, "template", "(%(subquery)s)") or expression
    ),
    "its field": lambda expression: expression.output_field and expression,
}


@pytest.mark.parametrize("case", CHANGED)
@pytest.mark.parametrize("name", ["Exists", "Subquery"])
def test_an_expression_that_is_read_or_changed(case, name, asked):
    def make():
        if name == "Subquery":
            changed = CHANGED[case](Subquery(titles(1)[:1]))
            return Author.objects.annotate(x=changed).order_by("pk")
        if case == "an attribute":
            return Author.objects.filter(Exists(of_author(1)))
        return Author.objects.filter(CHANGED[case](Exists(of_author(1))))

    asked(make)


@pytest.mark.parametrize("make", [Exists, Subquery, ArraySubquery])
@pytest.mark.parametrize("options", [{}, {"output_field": IntegerField()}, {"template": "(1)"}])
def test_an_expression_has_djangos_attributes(make, options):
    def inner():
        return books(1).order_by("pk").values("title")

    for _ in range(3):
        ours = make(inner(), **options)
    assert "query" not in vars(ours)
    with django_hydrates():
        expected = make(inner(), **options)
    assert str(ours.query) == str(expected.query)
    assert type(ours.query) is type(expected.query)
    assert ours.query.subquery is expected.query.subquery
    ours, expected = dict(vars(ours)), dict(vars(expected))
    del ours["query"], expected["query"]
    assert ours == expected


@pytest.mark.parametrize("args", [(), (1,), (Author,), (titles, 1), (Author.objects,)])
@pytest.mark.parametrize("make", [Exists, Subquery])
def test_what_an_expression_refuses(make, args):
    with pytest.raises((TypeError, AttributeError)) as ours:
        make(*args)
    with django_hydrates(), pytest.raises((TypeError, AttributeError)) as expected:
        make(*args)
    assert (type(ours.value), str(ours.value)) == (type(expected.value), str(expected.value))


class Reversing(AsyncQuerySet):
    def filter(self, *args, **kwargs):
        return super().filter(*args, **kwargs).order_by("-pk")


class Resolving(AsyncQuerySet):
    def resolve_expression(self, *args, **kwargs):
        return QuerySet.resolve_expression(super().exclude(pages=111), *args, **kwargs)


@pytest.mark.parametrize("queryset_class", [Reversing, Resolving, PagesQuerySet])
def test_a_class_that_overrides(queryset_class, asked):
    def inner():
        return queryset_class(Book).filter(pages__gt=37)

    asked(lambda: Book.objects.filter(pk__in=inner()).order_by("pk"))
    asked(lambda: inner().union(Book.objects.filter(pk=1)).order_by("pk"))
    asked(lambda: Book.objects.filter(pk=1).union(inner()).order_by("pk"))


# The cache


@pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare")
def test_lists_of_any_length_share_a_statement(run):
    def make(length):
        pages = [37 * number for number in range(1, length + 1)]
        return Author.objects.filter(Exists(of_author(0).filter(pages__in=pages)))

    async def counts():
        for _ in range(2):
            await make(2).alist()
        with counted() as count:
            found = [fingerprint(await make(length).alist()) for length in (1, 2, 7, 300)]
        return count, found

    count, found = run(counts)
    assert count == {"made": 0, "compiled": 0}
    assert found == [fingerprint(list(make(length))) for length in (1, 2, 7, 300)]


def test_an_inner_entry_that_was_evicted(asked):
    def make():
        return Author.objects.filter(pk__in=books(1).values("author"))

    asked(make)
    inner = books(1)._cached.entry
    for entry in (*inner.children.values(), inner):
        entry.empty()
        cache._evict(entry)
    assert books(1)._cached is None or books(1)._cached.entry is not inner
    asked(make)


def test_nothing_of_the_values_is_kept(run):
    class Number(int):
        """One that can be referred to weakly."""

    def make(number):
        author = Author(pk=number)
        inner = Book.objects.filter(author=author, pages__gt=number)
        return (
            weakref.ref(author),
            weakref.ref(inner),
            Author.objects.filter(Exists(inner), pk__in=inner.values("author")).union(
                Author.objects.filter(Exists(inner))
            ),
        )

    for number in range(1, 4):
        author, inner, queryset = make(number)
        run(queryset.alist)
    assert explain_cache(queryset).outcome == "bypass" or tracing.VERIFIES or queryset._cached
    del queryset
    gc.collect()
    assert author() is None
    assert inner() is None


def test_an_ordering_that_changes(asked):
    def make():
        authors = Author.objects.filter(pk__gt=1)
        return Book.objects.filter(author__in=authors[:2]).order_by("pk")

    asked(make)
    ordering = Author._meta.ordering
    for another in (["-name"], ["-pk"], []):
        Author._meta.ordering = another
        try:
            asked(make)
        finally:
            Author._meta.ordering = ordering
    asked(make)


def test_what_is_written_by_a_queryset(run):
    """It is a bypass, and Django's answer."""

    async def write(owner):
        entries = Entry.objects.filter(account__owner=owner)
        return await Entry.objects.filter(pk__in=entries.values("pk"), amount=-7).aupdate(
            amount=Subquery(entries.values("amount")[:1])
        )

    for owner in "abab":
        assert run(lambda owner=owner: write(owner)) == 0


def test_a_plain_queryset_around_it(asked):
    """Of Django's own class."""
    asked_once = list(QuerySet(Author).filter(pk__in=books(1).values("author")))
    assert asked_once == list(Author.objects.filter(pk__in=books(1).values("author")))
    assert isinstance(asked_once[0], Model)
