"""Django's paginators over querysets of an async manager."""

import django
import pytest
from django.core import paginator as pagination
from django.core.exceptions import SynchronousOnlyOperation
from django.core.paginator import EmptyPage, Paginator

from tests.library.models import Author, Book
from tests.support.answers import django_answer, sync_answer, turbo_answer
from turbo_orm import bridge

pytestmark = pytest.mark.usefixtures("library")

QUERYSETS = {
    "instances": lambda: Book.objects.order_by("pk"),
    "prefetched": lambda: Author.objects.prefetch_related("books"),
    "values": lambda: Book.objects.order_by("-pk").values("title", "author__name"),
    "of a relation": lambda: Author.objects.get(name="Ada").books.order_by("pk"),
    "none": lambda: Book.objects.none(),
}
is_async = pytest.mark.skipif(django.VERSION < (6, 0), reason="AsyncPaginator came with 6.0")


def pages(queryset):
    paginator = Paginator(queryset, 4, orphans=1)
    return paginator.count, [list(paginator.page(number)) for number in paginator.page_range]


async def async_pages(queryset):
    paginator = pagination.AsyncPaginator(queryset, 4, orphans=1)
    return await paginator.acount(), [[item async for item in page] async for page in paginator]


@pytest.mark.parametrize("case", QUERYSETS)
def test_pages_are_those_of_django(case, run):
    theirs, ours, bridged = (QUERYSETS[case]() for _ in range(3))
    expected = django_answer(lambda: pages(theirs))
    assert sync_answer(lambda: pages(ours)) == expected
    assert run(lambda: turbo_answer(lambda: bridge.run(pages, bridged))) == expected


@is_async
@pytest.mark.parametrize("case", QUERYSETS)
def test_awaited_pages_are_those_of_django(case, run):
    theirs, ours = QUERYSETS[case](), QUERYSETS[case]()
    expected = django_answer(lambda: pages(theirs))
    assert run(lambda: turbo_answer(lambda: async_pages(ours))) == expected


@is_async
def test_one_page_is_awaited(run):
    async def get():
        paginator = pagination.AsyncPaginator(Book.objects.order_by("pk"), 4)
        page = await paginator.aget_page(2)
        found = list(await page.aget_object_list())
        last = await paginator.aget_page("no number"), await paginator.aget_page(99)
        with pytest.raises(EmptyPage):
            await paginator.apage(99)
        return found, await page.ahas_next(), await page.anext_page_number(), str(last)

    sync = Paginator(Book.objects.order_by("pk"), 4)
    expected = "(<Async Page 1>, <Async Page 8>)"
    assert run(get) == (list(sync.page(2)), True, 3, expected)


def test_the_sync_paginator_cannot_ask_in_the_event_loop(run):
    async def get():
        return Paginator(Book.objects.order_by("pk"), 4).count

    with pytest.raises(SynchronousOnlyOperation):
        run(get)


def test_what_has_been_fetched_is_paginated_in_the_event_loop(run):
    async def get():
        return pages(await Book.objects.order_by("pk").alist())

    assert run(get) == pages(Book.objects.order_by("pk"))
