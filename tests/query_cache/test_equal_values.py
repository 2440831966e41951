"""Values that become equal later: Django compares what it compiles, and writes equal ones once."""

import re
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import FieldError
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    OuterRef,
    Q,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import Lower
from django.utils import timezone

from tests.library.models import Author, Book, Tag
from tests.support.answers import django_hydrates, fingerprint

pytestmark = pytest.mark.usefixtures("library", "empty_cache")


def titles(**lookups):
    found = Book.objects.filter(author=OuterRef("pk"), **lookups).order_by("pk")
    return Subquery(found.values("title")[:1])


def condition(number):
    return Case(When(pk__gt=number, then=Value("x")))


def running(number):
    pages = Case(When(pages__gt=37 * number, then=F("pages")), default=Value(0))
    return Window(Sum(pages), order_by="pk")


# Each is made of 2, 3 and 4, and of 1, which makes two of its values equal.
CASES = {
    "groups": lambda n: Author.objects.annotate(a=condition(1), b=condition(n)).annotate(
        n=Count("books")
    ),
    "groups of values": lambda n: (
        Author.objects.values(a=condition(1), b=condition(n)).annotate(n=Count("pk"))
    ).order_by("a", "b"),
    "distinct": lambda n: (
        Author.objects.annotate(a=condition(n)).distinct().order_by(condition(1), "pk")
    ),
    "windows": lambda n: Book.objects.annotate(r=running(n), s=running(1)).filter(
        r__gt=10, s__gt=10
    ),
    "another key": lambda n: Author.objects.order_by(
        titles(pages__gt="37"), titles(pages__gt=37 * n), "pk"
    ),
    "lists": lambda n: Author.objects.order_by(
        titles(pages__in=[37, 74]), titles(pages__in=[37, 74, 74] if n == 1 else [37 * n]), "pk"
    ),
}


@pytest.mark.parametrize("terminal", ["alist", "acount", "aexists", "afirst"])
@pytest.mark.parametrize("case", CASES)
def test_values_that_become_equal(case, terminal, chains):
    chains(CASES[case], 2, 3, 4, 1, 2, 1, terminal=terminal)


def test_a_subquery_in_a_filtered_relation(chains):
    """Django reads its query when the method is called, before that is recorded."""

    def make(number):
        tagged = Exists(Tag.objects.filter(pk__gt=number, books=OuterRef("books__pk")))
        relation = FilteredRelation("books", condition=Q(tagged))
        named = Author.objects.annotate(tagged=relation)
        return named.values("pk", "tagged__title").order_by("pk", "tagged__pk")

    chains(make, 2, 2, 3, 3, 1)


def test_names_and_keywords_have_different_keys(run):
    def refused():
        return Author.objects.values("x", Lower("name"))

    with django_hydrates(), pytest.raises((FieldError, TypeError)) as expected:
        refused()
    for _ in range(4):
        run(lambda: Author.objects.values(x=Lower("name")).alist())
    with pytest.raises(expected.type, match=re.escape(str(expected.value))):
        refused()


def test_a_zone_of_none_is_the_one_of_the_call(run):
    zones = [ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")]

    def make(zone):
        with timezone.override(zone):
            return Book.objects.datetimes("published", "hour", "ASC", None)

    async def answer(made, executed):
        queryset = make(made)
        with timezone.override(executed):
            return fingerprint(await queryset.alist())

    for made, executed in [(1, 1), (1, 1), (1, 1), (0, 1), (1, 0), (0, 0)]:
        with django_hydrates():
            expected = fingerprint(list(make(zones[made])))
        assert run(lambda: answer(zones[made], zones[executed])) == expected  # noqa: B023
