"""What is learnt from Django, what is not, and what becomes of a statement afterwards."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from tests.library.fields import Language, Speaker
from tests.library.models import Book
from turbo_orm.query_cache import tracing
from turbo_orm.query_cache.cache import shapes
from turbo_orm.query_cache.compiled import Statement

pytestmark = pytest.mark.usefixtures("library")


def learnt(queryset):
    """Return what is known of a queryset's shape: statements, and texts why there are none."""
    return [*queryset._shape.statements.values()]


def test_content_types_that_nobody_has_asked_for(run):
    """Django asks for them while it compiles. What is made up then must not be remembered."""
    shapes.clear()
    ContentType.objects.clear_cache()
    try:
        for _ in range(3):
            books = Book.objects.filter(notes__text="note on 0")
            (book,) = run(books.all().alist)
            assert book.title == ""
        assert ContentType.objects.get_for_model(Book).pk
    finally:
        ContentType.objects.clear_cache()
    assert [type(each) for each in learnt(books)] == [Statement]


def test_a_first_value_that_becomes_null(chains):
    chains(
        lambda value: Speaker.objects.filter(second=value),
        Language(pk="any", name=None),
        Language(pk="any", name="en-speak"),
    )


def test_a_statement_of_another_time_zone_is_not_learnt_again(chains):
    """Where nothing can match, Django executes nothing."""

    def make(value):
        year, pages = value
        return Book.objects.filter(published__year=year, pages=pages)

    with timezone.override("Asia/Tokyo"):
        chains(make, (2003, 111), (2004, 111))
    chains(make, (2003, 2**70), (2003, 111), (2003, 2**70), afresh=False)


@pytest.mark.skipif(tracing.VERIFIES, reason="What goes wrong is raised, to be seen")
@pytest.mark.parametrize(
    "name", ["stepping.preparations", "learning._part", "learning.only_statement"]
)
def test_what_learning_does_not_expect(name, chains, monkeypatch):
    """A lookup of somebody's own may do anything. The answer is Django's."""

    def fail(*args):
        raise LookupError("a value")

    monkeypatch.setattr(f"turbo_orm.{name}", fail)
    make = lambda pages: Book.objects.filter(pages__gte=pages).order_by("pk")  # noqa: E731
    chains(make, 100, 200)
    told = [text for shape in shapes._known for text in shape.statements.values()]
    assert told == ["learning raises LookupError"] * (name != "stepping.preparations")
