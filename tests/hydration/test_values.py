"""Rows that are no instances, or those of several queries in one."""

from zoneinfo import ZoneInfo

import pytest
from django.db.models import Count, F, Value
from django.db.models.functions import Lower, Upper

from tests.library.fields import Arrays, OrderLine, Ranges, Structured
from tests.library.models import Author, Book, Converted, Order, Tag

BOOKS = Book.objects.order_by("pk")
AUTHORS = Author.objects.order_by("pk")
TOKYO = ZoneInfo("Asia/Tokyo")

# A queryset, and what is asked of it
VALUES = {
    "fields before annotations": (BOOKS.annotate(a=F("pages")), ["title", "a", "pk"]),
    "annotations before fields": (BOOKS.annotate(a=F("pages"), b=F("pk")), ["b", "title", "a"]),
    "expressions": (BOOKS, ["title", Lower("title"), Upper("title")]),
    "all, with annotations": (BOOKS.annotate(a=F("pages")), []),
    "an annotation of values": (BOOKS.values("pages").annotate(a=F("pages")), ["a", "pk"]),
    "an alias": (BOOKS.alias(a=F("pages")).annotate(b=F("a")), []),
    "extra among them": (BOOKS.extra(select={"e": "1", "f": "2"}), ["f", "title", "e"]),
    "extra over a field": (BOOKS.extra(select={"title": "upper(title)"}), ["pk", "title"]),
    "extra and all": (BOOKS.extra(select={"e": "1"}).annotate(a=F("pk")), []),
    "extra and annotations": (
        BOOKS.extra(select={"e": "pages"}).annotate(a=F("pk")),
        ["a", "e", "title"],
    ),
    "across relations": (
        BOOKS.order_by("pk", "tags__label"),
        ["author__profile__motto", "translator__name", "tags__label", "author", "author_id"],
    ),
    "reverse": (AUTHORS.order_by("books"), ["books", "books__pages", "profile"]),
    "keys of json": (
        Structured.objects.order_by("pk"),
        ["plain", "plain__a", "plain__a__0", "plain__b", "exact__a", "encoded__at"],
    ),
    "items of arrays": (
        Arrays.objects.order_by("pk"),
        ["integers__0", "texts__1_3", "matrix__0__1", "documents__0", "moments__len"],
    ),
    "bounds of ranges": (
        Ranges.objects.order_by("pk"),
        ["integers__startswith", "moments__endswith", "dates__isempty", "amounts__lower_inf"],
    ),
    "parts of moments": (BOOKS, ["published__year", "published__date", "published__time"]),
    "a composite key": (Order.objects.order_by("number"), ["total", "pk", "number"]),
    "a composite key across": (OrderLine.objects.order_by("pk"), ["order", "order__total"]),
    "converted": (Converted.objects.order_by("pk"), ["shout", Lower("shout")]),
    "the same twice": (BOOKS, ["title", "title", "pk", "id"]),
    "without an order": (Book.objects.filter(pk=3), ["title"]),
}

LISTED = {
    "values": lambda queryset, names: queryset.values(*by_name(names), **by_alias(names)),
    "values_list": lambda queryset, names: queryset.values_list(*names),
    "named": lambda queryset, names: queryset.values_list(*names, named=True),
    "flat": lambda queryset, names: queryset.values_list(*(names[:1] or ["pk"]), flat=True),
    "distinct": lambda queryset, names: (
        queryset.values_list(*by_name(names)).order_by().distinct()
    ),
}


def by_name(names):
    return [name for name in names if isinstance(name, str)]


def by_alias(names):
    return {f"x{i}": name for i, name in enumerate(names) if not isinstance(name, str)}


@pytest.mark.parametrize("kind", LISTED)
@pytest.mark.parametrize("case", VALUES)
def test_values(case, kind, read):
    queryset, names = VALUES[case]
    read(lambda: LISTED[kind](queryset, names))


COMBINED = {
    "instances": lambda: BOOKS.filter(pages=0).union(BOOKS.filter(pages=37)).order_by("pk"),
    "all, with doubles": lambda: BOOKS[:2].union(BOOKS[:3], all=True).order_by("pk"),
    "deferred": lambda: BOOKS.only("title").union(BOOKS.only("title")).order_by("title"),
    "annotated": lambda: (
        AUTHORS.annotate(n=Count("books")).union(AUTHORS.annotate(n=Value(0))).order_by("pk", "n")
    ),
    "of other models": lambda: (
        BOOKS.values_list("title", "pages")
        .union(Author.objects.values_list("name", "pk"), Tag.objects.values_list("label", "pk"))
        .order_by("title", "pages")
    ),
    "dicts of other fields": lambda: (
        BOOKS.values("title", "pages").union(AUTHORS.values("name", "pk")).order_by("title")
    ),
    "ordered by what is not selected": lambda: (
        AUTHORS.annotate(a=Value(-1), b=F("a"))
        .union(AUTHORS.annotate(a=Value(2), b=F("a")))
        .order_by(F("a") * F("b"), "pk")
        .values("name")
    ),
    "expressions": lambda: (
        BOOKS.annotate(a=F("pages"), b=Value("x"))
        .values_list("b", "title", "a")
        .union(AUTHORS.annotate(a=F("pk"), b=Value("y")).values_list("b", "name", "a"))
        .order_by("b", "a", "title")
    ),
    "named": lambda: (
        BOOKS.values_list("pk", "title", named=True)
        .union(AUTHORS.values_list("pk", "name", named=True))
        .order_by("title")
    ),
    "flat": lambda: (
        BOOKS.values_list("title", flat=True)
        .intersection(BOOKS.filter(pk__lt=9).values_list("title", flat=True))
        .order_by("title")
    ),
    "sliced": lambda: BOOKS.difference(BOOKS.filter(pk__gt=9)).order_by("-pk")[2:5],
    "values of it": lambda: (
        BOOKS.filter(pk=1).union(BOOKS.filter(pk=2)).values("title", "pages").order_by("title")
    ),
    "with nothing": lambda: BOOKS.none().union(BOOKS.filter(pk=1), BOOKS.none()),
    "of nothing": lambda: BOOKS.none().union(BOOKS.none()),
    "nested": lambda: (
        BOOKS.filter(pk=1).union(BOOKS.filter(pk=2).union(BOOKS.filter(pk=3))).order_by("pk")
    ),
    "and": lambda: BOOKS.filter(pages__gt=100) & BOOKS.filter(pk__lt=9),
    "exclusive or": lambda: BOOKS.filter(pages__gt=100) ^ BOOKS.filter(pk__lt=9),
    "dates": lambda: Book.objects.dates("published", "month", order="DESC"),
    "datetimes": lambda: Book.objects.datetimes(
        "published", "hour", tzinfo=ZoneInfo("Asia/Tokyo")
    ),
    "reversed": lambda: BOOKS.reverse()[2:9],
    "nothing selected": lambda: BOOKS.filter(pk__in=[]).values_list("pk"),
}


@pytest.mark.parametrize("case", COMBINED)
def test_combined(case, read):
    (answer,) = read.each([COMBINED[case]])
    assert "returned" in answer
