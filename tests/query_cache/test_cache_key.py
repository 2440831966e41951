"""What tells two calls apart, and what is the same but for its values."""

import datetime
from decimal import Decimal

import pytest
from django.db.models import Case, Value, When

from tests.library.models import Book, Sample

pytestmark = pytest.mark.usefixtures("library")

SAMPLES = Sample.objects.order_by("pk")[:1]


def of_annotation(value):
    return Sample.objects.annotate(x=Value(value)).values("x").order_by("pk")[:1]


def at_noon(hours):
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    return datetime.datetime(2026, 1, 1, 12 + hours, tzinfo=zone)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("1.0"), Decimal("1.00")),
        (0.0, -0.0),
        (at_noon(0), at_noon(1)),
        (1, True),
        (1, 1.0),
        ("1", 1),
    ],
)
def test_constants_that_are_equal_and_not_the_same(one, other, chains):
    """They stand in the statement itself."""
    chains(of_annotation, one, other, one)


def test_a_class_stands_for_no_value_of_it(chains):
    chains(lambda value: Book.objects.filter(pages=value), 37, int, str)


def test_a_list_that_is_changed_afterwards(chains):
    changed = [37]

    def make(pages):
        large = Case(When(pages__in=pages, then=Value(1)), default=Value(0))
        return Book.objects.annotate(large=large).order_by("pk").values("large")

    make(changed)
    changed.append(74)
    chains(make, [37], [37, 74], [37], afresh=False)


def test_a_list_of_values_that_is_changed_afterwards(chains):
    pages = [37, 74]
    books = Book.objects.filter(pages__in=pages).order_by("pk")
    pages.append(111)
    expected = Book.objects.filter(pages__in=[37, 74]).order_by("pk")
    (answer,) = chains(lambda _: expected.all(), None)
    (changed,) = chains(lambda _: books.all(), None, afresh=False)
    assert changed == answer


@pytest.mark.parametrize("field", ["data", "text", "integer__in", "data__a"])
def test_a_set_is_no_list(field, chains):
    """JSON has none."""
    chains(lambda value: Sample.objects.filter(**{field: value}), [1, 2], {1, 2}, {1, 3}, (1, 2))
