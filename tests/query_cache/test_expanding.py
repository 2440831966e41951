"""Lists of any length are one entry, and their statements those that Django writes."""

import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.library.models import Author, Book
from turbo_orm import cache_info
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.usefixtures("library")

LISTS = {
    "keys": lambda items: Author.objects.filter(pk__in=items),
    "before a slice": lambda items: Author.objects.filter(name__gt="A", pk__in=items).order_by(
        "pk"
    )[1:3],
    "two": lambda items: (
        Author.objects.filter(pk__in=items)
        .exclude(name__in=[str(item) for item in items])
        .filter(born__gt="1900-01-01")
    ),
    "of a relation": lambda items: Book.objects.filter(author__in=items, pages__gt=1),
    "a set, joined": lambda items: Book.objects.filter(
        author__name__in={str(item) for item in items}
    ).values_list("pk"),
    "a tuple": lambda items: Author.objects.filter(pk__in=tuple(items)).order_by("-pk"),
    "after a percent sign": lambda items: Author.objects.filter(name__contains="%s", pk__in=items),
}
LENGTHS = [3, 3, 3, 1, 2, 40, 3, 250, 0, 1]


@pytest.mark.parametrize("case", LISTS)
def test_a_list_of_another_length_is_a_hit(case, run):
    async def steps():
        found = []
        for length in LENGTHS:
            items = list(range(1, length + 1))
            before = cache_info().hits
            answer = await LISTS[case](items).alist()
            is_hit = cache_info().hits > before
            with CaptureQueriesContext(connection) as captured:
                await LISTS[case](items).alist()
            found.append((answer, is_hit, [query["sql"] for query in captured]))
        return found

    def djangos(length):
        with CaptureQueriesContext(connection) as captured:
            answer = list(LISTS[case](list(range(1, length + 1))))
        return answer, [query["sql"] for query in captured]

    found = run(steps)
    assert [(answer, sql) for answer, _, sql in found] == [djangos(length) for length in LENGTHS]
    # The empty list is none.
    assert [is_hit for _, is_hit, _ in found][3:] == [True] * 5 + [False, True]


def test_many_lengths_leave_one_entry(run):
    lengths = random.Random(7).choices(range(1, 300), k=200)

    async def ask(lengths):
        for length in lengths:
            await Author.objects.filter(pk__in=list(range(length))).acount()
        return cache_info()

    cache.clear()
    few, many = run(lambda: ask([2, 2, 2])), run(lambda: ask(lengths))
    assert (many.entries, many.bytes) == (few.entries, few.bytes)
    assert many.hits == few.hits + 200


@pytest.mark.parametrize("items", [[1, None], [True, 2], ["1", 2]], ids=str)
def test_lists_of_several_kinds_are_kept_apart(items, run):
    async def steps():
        await Author.objects.filter(pk__in=[1, 2]).alist()
        await Author.objects.filter(pk__in=[1, 2]).alist()
        return await Author.objects.filter(pk__in=items).alist()

    assert run(steps) == list(Author.objects.filter(pk__in=items))


def test_duplicates_are_sent_once_as_by_django(run):
    async def steps():
        found = []
        for items in ([1, 2], [1, 2], [1, 1, 2, 2], [3, 3]):
            with CaptureQueriesContext(connection) as captured:
                await Author.objects.filter(pk__in=items).alist()
            found.append(captured[0]["sql"].partition("WHERE")[2])
        return found

    two, again, duplicates, one = run(steps)
    assert two == again == duplicates
    assert "IN (3)" in one
