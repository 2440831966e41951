"""How querysets follow the tree of shapes, and when they leave it."""

import pytest
from django.db.models import Q
from django.db.models.query import ModelIterable

from tests.library.fields import Language, Ranges, Speaker
from tests.library.models import Author, Book
from turbo_orm import AsyncQuerySet

pytestmark = pytest.mark.usefixtures("library")


def test_a_subclass_of_the_same_name(run):
    calls = []

    def filter_(self, *args, **kwargs):
        calls.append(kwargs)
        return AsyncQuerySet.filter(self, *args, **kwargs)

    namesake = type("AsyncQuerySet", (AsyncQuerySet,), {"filter": filter_})
    for _ in range(2):
        run(lambda: namesake(Book).aget(pk=1))
    assert calls == [{"pk": 1}] * 2


@pytest.mark.parametrize(
    "make",
    [
        lambda value: Book.objects.filter(pages=value, author_id=value),
        lambda value: Book.objects.filter(Q(pages=value) | Q(author_id=value), translator=value),
        lambda value: Book.objects.exclude(pages=value, author__id=value),
    ],
)
def test_what_is_refused_first(make, chains):
    """Django sorts by name: of two values that are wrong, it names one."""
    chains(make, "1", "x", "2")


def test_what_get_refuses_first(run):
    for value in ("1", "x"):
        with pytest.raises((ValueError, Book.DoesNotExist)) as refused:
            run(lambda: Book.objects.aget(pages=value, author_id=value))  # noqa: B023
    assert str(refused.value) == "Field 'id' expected a number but got 'x'."


class Titles(ModelIterable):
    def __iter__(self):
        return (book.title for book in super().__iter__())


AFTER = {
    "a copy": lambda books: books.all().alist(),
    "a filter": lambda books: books.filter(title="Book 1").alist(),
    "an order": lambda books: books.order_by("pk").alist(),
    "prefetching": lambda books: books.prefetch_related().alist(),
    "get": lambda books: books.aget(),
    "get by a filter": lambda books: books.aget(title="Book 1"),
    "first": lambda books: books.afirst(),
}


@pytest.mark.parametrize("case", AFTER)
def test_an_iterable_class_of_ones_own(case, run):
    for titles in (False, True, False, True):
        books = Book.objects.filter(pk=2)
        if titles:
            books._iterable_class = Titles
        found = run(lambda: AFTER[case](books))  # noqa: B023
        (book,) = found if isinstance(found, list) else [found]
        assert (book if titles else book.title) == "Book 1"


@pytest.mark.parametrize("method", ["filter", "exclude"])
def test_a_value_that_becomes_null(method, chains):
    """A relation may lead to another field than the key."""
    for lookup in ("second", "second__name"):
        make = lambda value: getattr(Speaker.objects, method)(**{lookup: value})  # noqa: B023, E731
        values = [Language(code=code, name=code and f"{code}-speak") for code in ("en", None, "ü")]
        if lookup == "second":
            for value in values:
                value.pk = "any"
        else:
            values = [value.name for value in values]
        chains(make, *values)


def test_an_instance_where_there_is_no_relation(chains):
    """Django makes an expression of what is no range."""
    chains(
        lambda author: Ranges.objects.filter(integers__contains=author), Author(pk=1), Author(pk=2)
    )
