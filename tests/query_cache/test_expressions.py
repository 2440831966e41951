"""Expressions as arguments: Django's answer each time, and a hit at the third call."""

import datetime
import gc
from zoneinfo import ZoneInfo

import django
import pytest
from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVector
from django.db import models
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    FloatField,
    Func,
    IntegerField,
    OuterRef,
    Q,
    RowRange,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.expressions import WindowFrameExclusion
from django.db.models.fields.json import KT, KeyTransform
from django.db.models.functions import (
    Cast,
    Coalesce,
    Collate,
    Concat,
    ExtractYear,
    Greatest,
    JSONObject,
    Lag,
    NullIf,
    Rank,
    RowNumber,
    Trunc,
    TruncDate,
    TruncMonth,
)
from django.test import override_settings
from django.utils import timezone

from tests.library.models import Author, Book, Sample
from tests.support.answers import django_answer, fingerprint, turbo_answer
from tests.support.counting import counted
from turbo_orm import cache_info, explain_cache
from turbo_orm.query_cache import tracing
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.usefixtures("library", "empty_cache")


@pytest.fixture(scope="module", autouse=True)
def no_dead_receivers():
    """Models that nothing refers to any more empty the cache when their receivers die."""
    gc.collect()


TOKYO = ZoneInfo("Asia/Tokyo")


def books(**annotations):
    return Book.objects.annotate(**annotations).order_by("pk")


def authors(**annotations):
    return Author.objects.annotate(**annotations).order_by("pk")


def samples(**annotations):
    return Sample.objects.annotate(**annotations).order_by("pk")


QUERIES = {
    "window": lambda n: books(
        r=Window(RowNumber(), partition_by=[F("author")], order_by=F("pages").desc())
    ).filter(pk__gt=n),
    "window with a frame": lambda n: books(
        r=Window(Sum("pages"), order_by="pk", frame=RowRange(start=-1, end=0))
    ).filter(pk__gt=n),
    "window with a default": lambda n: books(
        r=Window(Lag("pages", offset=1, default=n), order_by="pk")
    ),
    "window with an exclusion": lambda n: books(
        r=Window(
            Sum("pages"),
            order_by="pk",
            frame=RowRange(start=-2, end=2, exclusion=WindowFrameExclusion.CURRENT_ROW),
        )
    ).filter(pk__gt=n),
    "filter by a window": lambda n: books(r=Window(Rank(), order_by="pages")).filter(r__lte=n),
    "function": lambda n: books(
        r=Func(F("pages"), Value(n), function="MOD", output_field=IntegerField())
    ),
    "cast": lambda n: books(r=Cast("pages", CharField(max_length=20))).filter(r=str(37 * n)),
    "case": lambda n: books(
        r=Case(When(pages=n, then=Value("a")), default=Value("b"), output_field=CharField())
    ),
    "coalesce": lambda n: authors(r=Coalesce(Sum("books__pages"), n)),
    "by month": lambda n: (
        Book.objects.filter(pk__gt=n)
        .annotate(r=TruncMonth("published"))
        .values("r")
        .annotate(c=Count("pk"))
        .order_by("r")
    ),
    "truncated": lambda n: books(
        r=Trunc("published", "year", output_field=DateTimeField())
    ).filter(pk__gt=n),
    "truncated in a zone": lambda n: books(r=TruncDate("published", tzinfo=TOKYO)).filter(
        pk__gt=n
    ),
    "extracted": lambda n: books(r=ExtractYear("published")).filter(r=2000 + n),
    "KT": lambda n: samples(r=KT("data__a")).filter(r=str(n)),
    "KeyTransform": lambda n: samples(r=KeyTransform("a", "data")).filter(pk__gt=n),
    "a key of JSON": lambda n: samples().filter(data__a__b=n),
    "a key of JSON that is greater": lambda n: samples().filter(data__a__gt=n),
    "JSON that contains": lambda n: samples().filter(data__contains={"a": [n]}),
    "JSON that equals": lambda n: samples().filter(data={"a": n, "b": [{"c": None}]}),
    "JSON within JSON": lambda n: samples().exclude(data__a={"b": str(n)}),
    "a JSON object": lambda n: samples(r=JSONObject(a="integer", b=Value(n))),
    "search": lambda n: books(s=SearchVector("title", config="english")).filter(
        s=SearchQuery(f"book {n}")
    ),
    "search by a lookup": lambda n: books().filter(title__search=f"book {n}"),
    "rank": lambda n: Book.objects.annotate(
        rank=SearchRank(
            SearchVector("title", weight="A") + SearchVector("author__name", weight="B"),
            SearchQuery(str(n)),
            weights=[0.1, 0.2, 0.3, 0.4],
            normalization=Value(2),
        )
    ).order_by("-rank", "pk"),
    "array": lambda n: authors(
        a=ArrayAgg(
            "books__title",
            filter=Q(books__pages__gt=n),
            order_by="books__title",
            default=Value([]),
        )
    ),
    "greatest": lambda n: books(a=Greatest("pages", Value(100 * n))),
    "concat": lambda n: books(a=Concat("title", Value(f" {n} by "), "author__name")),
    "collate": lambda n: books(c=Collate("title", "C")).filter(c=f"Book {n}"),
    "ordered by a collation": lambda n: Book.objects.filter(pk__gt=n).order_by(
        Collate("title", "C"), "pk"
    ),
    "NULL of a value": lambda n: books(x=NullIf("pages", Value(37 * n))),
    "wrapped": lambda n: books(x=ExpressionWrapper(F("pages") * n, output_field=FloatField())),
    "a wrapped condition": lambda n: books(
        x=ExpressionWrapper(Q(pages__gt=n), output_field=BooleanField())
    ),
    "a time span": lambda n: books(x=F("published") + datetime.timedelta(days=n)),
    "a part of text": lambda n: books(x=F("title")[:3]).filter(pk__gt=n),
    "dates": lambda n: Book.objects.filter(pk__gt=n).dates("published", "month"),
    "dates by name": lambda n: Book.objects.filter(pk__gt=n).dates(
        "published", kind="year", order="DESC"
    ),
    "datetimes": lambda n: Book.objects.filter(pk__gt=n).datetimes("published", "month"),
    "datetimes in a zone": lambda n: Book.objects.filter(pk__gt=n).datetimes(
        "published", kind="hour", tzinfo=TOKYO
    ),
    "datetimes at an offset": lambda n: Book.objects.filter(pk__gt=n).datetimes(
        "published", "day", "DESC", datetime.timezone(datetime.timedelta(hours=-3))
    ),
    "using": lambda n: Book.objects.using("default").filter(pk__gt=n).order_by("pk"),
    "using at the end": lambda n: Book.objects.filter(pk__gt=n).order_by("pk").using("default"),
    "a filtered relation": lambda n: (
        Author.objects.annotate(x=FilteredRelation("books", condition=Q(books__pages__gt=37 * n)))
        .filter(x__title__startswith="Book")
        .order_by("pk", "x__pk")
        .values("pk", "x__title")
    ),
    "a filtered relation in alias()": lambda n: (
        Author.objects.alias(
            x=FilteredRelation(
                "books",
                condition=Q(books__title__contains=str(n)) | ~Q(books__pages__in=[37 * n, 74]),
            )
        )
        .annotate(title=F("x__title"), pages=F("x__pages"))
        .order_by("pk", "x__pk")
    ),
    "a filtered relation that is selected": lambda n: (
        Book.objects.annotate(
            x=FilteredRelation("translator", condition=Q(translator__name=str(n)))
        )
        .select_related("x")
        .order_by("pk")
    ),
}

if django.VERSION >= (6, 0):
    QUERIES["string"] = lambda n: authors(
        a=models.StringAgg("books__title", delimiter=Value(f" {n} "), order_by="books__pages")
    )


@pytest.mark.parametrize("case", QUERIES)
def test_the_answers_are_djangos(case, chains):
    chains(QUERIES[case], 1, 2, 3, 2, 0, 100)


@pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare")
@pytest.mark.parametrize("case", QUERIES)
def test_the_third_is_a_hit(case, run):
    make = QUERIES[case]

    async def ask():
        for n in (1, 2):
            await make(n).alist()
        explained = explain_cache(make(3))
        before = cache_info()
        with counted() as count:
            answer = fingerprint(await make(3).alist())
        assert cache_info().bypasses == before.bypasses
        return explained, count, answer

    explained, count, answer = run(ask)
    assert (explained.outcome, explained.reason) == ("hit", "")
    assert count == {"made": 0, "compiled": 0}
    assert answer == fingerprint(list(make(3)))


ZONES = ["UTC", "Asia/Tokyo", "America/New_York", "UTC"]
IN_A_ZONE = {
    "dates": lambda: Book.objects.dates("published", "day"),
    "datetimes": lambda: Book.objects.datetimes("published", "hour"),
    "datetimes by name": lambda: Book.objects.datetimes("published", kind="day", tzinfo=None),
    "truncated": lambda: books(x=TruncDate("published")),
    "truncated in a zone": lambda: books(x=TruncDate("published", tzinfo=TOKYO)),
}


@pytest.mark.parametrize("case", IN_A_ZONE)
def test_time_zones(case, chains):
    for zone in (*ZONES, *ZONES):
        with timezone.override(zone):
            chains(lambda _: IN_A_ZONE[case](), 1, 2, afresh=False)


def test_datetimes_that_are_asked_for_in_another_zone(chains):
    """Django reads the zone when the method is called."""

    def make(zone):
        with timezone.override(zone):
            return Book.objects.datetimes("published", "day")

    chains(make, *ZONES, *ZONES)


@override_settings(USE_TZ=False)
def test_datetimes_without_time_zones(chains):
    chains(lambda kind: Book.objects.datetimes("published", kind), "day", "month", "day")


REFUSED = {
    "an unknown field": lambda _: Book.objects.dates("no_such", "day"),
    "an unknown kind": lambda _: Book.objects.dates("published", "hour"),
    "an unknown order": lambda _: Book.objects.dates("published", "day", order="up"),
    "an unknown kind of datetimes": lambda _: Book.objects.datetimes("published", "century"),
    "no arguments": lambda _: Book.objects.datetimes(),
    "too many": lambda _: Book.objects.datetimes("published", "day", "ASC", None, 1),
    "an unknown option": lambda _: Book.objects.dates("published", "day", zone=1),
    "prefetching a filtered relation": lambda n: (
        Author.objects.annotate(x=FilteredRelation("books", condition=Q(books__pages=n)))
        .filter(x__isnull=False)
        .prefetch_related("x__author")
    ),
    "no date": lambda _: Book.objects.dates("pages", "day"),
    "a slice": lambda _: Book.objects.all()[:3].dates("published", "day"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_django_refuses(case, chains):
    answers = chains(REFUSED[case], 1, 2, 3)
    assert all("returned" not in answer for answer in answers)


def test_values_in_the_condition_of_a_filtered_relation(chains):
    """Those that Django converts where it joins are left to Django, which raises there."""

    def make(value):
        relation = FilteredRelation("books", condition=Q(books__pages__gt=value))
        return Author.objects.annotate(x=relation).filter(x__isnull=False).order_by("pk", "x__pk")

    chains(make, 37, "74", "x", 2**70, -(2**70), None, True, 1.5, 37, "111", "y")
    chains(make, "37", "x", "74", "y")


def test_one_that_is_never_joined(chains):
    chains(
        lambda n: Author.objects.annotate(
            x=FilteredRelation("books", condition=Q(books__pages__gt=n))
        ),
        1,
        2,
        3,
    )


def test_filtered_relations_over_each_other(chains):
    def make(n):
        return (
            Author.objects.annotate(
                x=FilteredRelation("books", condition=Q(books__pages__gt=n)),
                y=FilteredRelation(
                    "books__tags", condition=Q(books__tags__label__contains=str(n))
                ),
            )
            .exclude(x__title=str(n))
            .annotate(n=Count("x"), m=Count("y", distinct=True))
            .order_by("pk")
        )

    chains(make, 1, 2, 3, 2)


def test_a_filtered_relation_in_a_subquery(chains):
    def make(n):
        relation = FilteredRelation("books", condition=Q(books__pages__gt=n))
        found = Author.objects.annotate(x=relation).filter(x__pk=OuterRef("pk"))
        return Book.objects.filter(Exists(found)).order_by("pk")

    chains(make, 1, 200, 300, 200)


def test_a_dict_that_is_changed_afterwards(chains):
    """Django keeps it as it is, and sends what is in it then."""

    def make(n):
        data = {"a": n}
        queryset = Sample.objects.filter(data=data).order_by("pk")
        data["a"] = n + 1
        return queryset

    chains(make, 0, 1, 2, 1)


def test_a_dict_where_there_is_no_json(chains):
    chains(lambda value: Book.objects.filter(title=value), {"a": 1}, {"a": 1}, {"a": 2})


@pytest.mark.parametrize("field", ["data", "text"])
def test_a_dict_that_is_written(field, run):
    """No row has the key, and text is refused."""
    samples = Sample.objects.filter(pk=-1)
    for value in ({"a": 1}, {"a": 2}, {"b": [1, None]}, {}, {"a": 1}):
        written = {field: value}
        expected = django_answer(lambda: samples.update(**written))  # noqa: B023
        ours = lambda: samples.all().aupdate(**written)  # noqa: B023, E731
        assert run(lambda: turbo_answer(ours)) == expected  # noqa: B023


def test_select_for_update_of_some(run):
    async def ask():
        from turbo_orm import async_atomic

        made = []
        for n in (1, 2, 3):
            async with async_atomic():
                locked = Book.objects.select_related("author").select_for_update(of=("self",))
                with counted() as count:
                    made.append([book.pk for book in await locked.filter(pk=n).alist()])
        return made, count

    cache.clear()
    made, count = run(ask)
    assert made == [[1], [2], [3]]
    if not tracing.VERIFIES:
        assert count == {"made": 0, "compiled": 0}
