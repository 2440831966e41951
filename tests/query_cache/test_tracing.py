"""Which statements are traced, which are not, and what becomes of them afterwards."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from tests.library.fields import Language, Speaker
from tests.library.models import Book
from turbo_orm.query_cache import tracing
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.compiled import CompiledStatement

pytestmark = pytest.mark.usefixtures("library")


def cached(queryset):
    """Return what is cached for a queryset: statements, and reasons why there are none."""
    entry = queryset._cached.entry
    return [*entry.statements.values(), *entry.refusals.values()]


def test_content_types_that_are_not_in_djangos_cache(run):
    """Django asks for them while it compiles. What is made up then must not be remembered."""
    cache.clear()
    ContentType.objects.clear_cache()
    try:
        for _ in range(3):
            books = Book.objects.filter(notes__text="note on 0")
            (book,) = run(books.all().alist)
            assert book.title == ""
        assert ContentType.objects.get_for_model(Book).pk
    finally:
        ContentType.objects.clear_cache()
    assert [type(each) for each in cached(books)] == [CompiledStatement]


def test_a_first_value_that_becomes_null(chains):
    chains(
        lambda value: Speaker.objects.filter(second=value),
        Language(pk="any", name=None),
        Language(pk="any", name="en-speak"),
    )


def test_a_statement_of_another_time_zone_is_not_traced_again(chains):
    """Where nothing can match, Django executes nothing."""

    def make(value):
        year, pages = value
        return Book.objects.filter(published__year=year, pages=pages)

    with timezone.override("Asia/Tokyo"):
        chains(make, (2003, 111), (2004, 111))
    chains(make, (2003, 2**70), (2003, 111), (2003, 2**70), afresh=False)


@pytest.mark.skipif(tracing.VERIFIES, reason="What goes wrong is raised, to be seen")
@pytest.mark.parametrize(
    "name", ["chain.lookup_factories", "tracing._binder", "tracing.only_statement"]
)
def test_what_tracing_does_not_expect(name, chains, monkeypatch, caplog):
    """A lookup of a third party may do anything. The answer is Django's, and it is logged once."""

    def fail(*args):
        raise LookupError("a value")

    monkeypatch.setattr(f"turbo_orm.query_cache.{name}", fail)
    monkeypatch.setattr(tracing, "_logged", set())
    make = lambda pages: Book.objects.filter(pages__gte=pages).order_by("pk")  # noqa: E731
    chains(make, 100, 200)
    chains(lambda pages: Book.objects.filter(pages__lte=pages).order_by("pk"), 100, afresh=False)
    reasons = [each.reason for entry in cache for each in entry.refusals.values()]
    if name == "chain.lookup_factories":
        assert reasons == []
        return
    assert reasons == ["tracing raises LookupError"] * 2
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("turbo_orm", "WARNING")
    assert "library.Book could not be traced" in record.getMessage()
    assert record.exc_info[0] is LookupError
