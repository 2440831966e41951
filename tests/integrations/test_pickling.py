"""Pickled and loaded again, querysets and instances are what Django's would be."""

import pickle

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db.models import QuerySet

from tests.library.models import Author, Book
from tests.support.answers import django_answer, turbo_answer
from tests.support.querysets import BOOKS, QUERYSETS
from turbo_orm import AsyncQuerySet, bridge

pytestmark = pytest.mark.usefixtures("library")


def copied(value):
    return pickle.loads(pickle.dumps(value))


def with_copied_query(queryset):
    """Return a queryset that has nothing from this one but its query, as Django's docs do it."""
    other = queryset.model.objects.all()
    other.query = copied(queryset.query)
    return other


async def copied_results(queryset):
    return copied(await queryset.alist())


async def copied_when_evaluated(queryset):
    await queryset.alist()
    return copied(queryset)


async def copied_when_not_evaluated(queryset):
    return await bridge.run(copied, queryset)


async def copied_query(queryset):
    return await with_copied_query(queryset).alist()


COPIES = {
    "of the results": (lambda queryset: copied(list(queryset)), copied_results),
    "of the evaluated queryset": (copied, copied_when_evaluated),
    "of the queryset": (copied, copied_when_not_evaluated),
    "of the query": (lambda queryset: list(with_copied_query(queryset)), copied_query),
}


@pytest.mark.parametrize("case", QUERYSETS)
def test_copies_are_those_that_django_gives(case, run):
    theirs, ours = ({copy: QUERYSETS[case]() for copy in COPIES} for _ in range(2))
    expected = {
        copy: django_answer(lambda: by_django(theirs[copy]))  # noqa: B023
        for copy, (by_django, _) in COPIES.items()
    }

    async def answers():
        return {
            copy: await turbo_answer(lambda: by_us(ours[copy]))  # noqa: B023
            for copy, (_, by_us) in COPIES.items()
        }

    assert run(answers) == expected


def test_a_loaded_queryset_has_its_results_and_all_terminals(run):
    async def load():
        queryset = BOOKS.filter(pages__gt=100)
        found = await queryset.alist()
        loaded = copied(queryset)
        assert type(loaded) is AsyncQuerySet
        again = [book async for book in loaded]
        narrower = await loaded.filter(pages__gt=400).alist()
        return found, again, narrower, await loaded.acount(), await loaded.aget(pk=found[0].pk)

    expected = list(BOOKS.filter(pages__gt=100))
    found, again, narrower, count, one = run(load)
    assert found == again == expected
    assert narrower == [book for book in expected if book.pages > 400]
    assert (count, one) == (len(expected), expected[0])


def test_in_the_event_loop_a_queryset_has_to_be_evaluated_first(run):
    async def dump():
        pickle.dumps(BOOKS.all())

    with pytest.raises(SynchronousOnlyOperation, match=r"alist\(\)"):
        run(dump)


def test_a_deferred_field_stays_deferred_and_can_be_read(run):
    async def load():
        book = copied(await BOOKS.defer("title").afirst())
        deferred = book.get_deferred_fields()
        with pytest.raises(SynchronousOnlyOperation):
            _ = book.title
        await book.arefresh_from_db(fields=["title"])
        return deferred, book.title

    assert run(load) == ({"title"}, BOOKS.first().title)


def test_prefetched_relations_need_no_query(run):
    def read(authors):
        return [
            (author.name, [(book.title, len(book.tags.all())) for book in author.books.all()])
            for author in authors
        ]

    async def load():
        return read(copied(await Author.objects.prefetch_related("books__tags").alist()))

    assert run(load) == read(Author.objects.prefetch_related("books__tags"))


def test_a_pickle_of_djangos_own_queryset_is_one(run):
    """One that was in a cache, say, when the model got its manager."""
    theirs = QuerySet(Book).filter(pages__gt=400).order_by("pk")
    expected = list(theirs)

    async def load():
        loaded = copied(theirs)
        moved = Book.objects.all()
        moved.query = copied(QuerySet(Book).filter(pages__gt=400).order_by("pk").query)
        return type(loaded), list(loaded), await moved.alist()

    assert run(load) == (QuerySet, expected, expected)
