"""No terminal calls more Python functions than Django's async method, which hops to a thread."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import Count, Exists, OuterRef, QuerySet, Sum

from tests.library.models import Account, Author, Book
from tests.support.counting import calls
from tests.support.event_loop import close_connections
from turbo_orm import conf

pytestmark = [
    pytest.mark.usefixtures("library", "scratch"),
    pytest.mark.skipif(conf.VERIFIES, reason="Django compiles each statement, too"),
]


def books(q):
    return q(Book).filter(pages__gt=10)


# Each is a queryset, made by a function of the model, the name of a method, and its arguments.
TERMINALS = {
    "get": lambda q: (q(Book), "get", {"pk": 3}),
    "first": lambda q: (books(q), "first", {}),
    "last": lambda q: (books(q), "last", {}),
    "earliest": lambda q: (books(q).exclude(published=None), "earliest", {}),
    "latest": lambda q: (books(q).exclude(published=None), "latest", {}),
    "count": lambda q: (books(q), "count", {}),
    "exists": lambda q: (books(q), "exists", {}),
    "contains": lambda q: (books(q), "contains", {"obj": Book(pk=3)}),
    "aggregate": lambda q: (books(q), "aggregate", {"n": Count("pk"), "s": Sum("pages")}),
    "in_bulk": lambda q: (q(Book), "in_bulk", {"id_list": [1, 2, 3]}),
    "explain": lambda q: (books(q), "explain", {}),
    "list": lambda q: (books(q), "list", {}),
    "list of values": lambda q: (books(q).values("pk", "title"), "list", {}),
    "list of a page": lambda q: (books(q).order_by("pk")[2:6], "list", {}),
    "list of a join": lambda q: (books(q).select_related("author"), "list", {}),
    "list, prefetched": lambda q: (books(q).prefetch_related("tags", "author"), "list", {}),
    "list by Exists": lambda q: (
        q(Author).filter(Exists(q(Book).filter(author=OuterRef("pk"), pages__gt=10))),
        "list",
        {},
    ),
    "list by a queryset": lambda q: (
        q(Book).filter(author__in=q(Author).filter(name="Ada")),
        "list",
        {},
    ),
    "union": lambda q: (books(q).union(q(Book).filter(pk=3)), "list", {}),
    "dates": lambda q: (q(Author).exclude(born=None).dates("born", "year"), "list", {}),
    "create": lambda q: (q(Account), "create", {"owner": "Eve"}),
    "get_or_create": lambda q: (q(Account), "get_or_create", {"owner": "Ada"}),
    "get_or_create, new": lambda q: (q(Account), "get_or_create", {"owner": "Eve"}),
    "update_or_create": lambda q: (
        q(Account),
        "update_or_create",
        {"owner": "Ada", "defaults": {"balance": 7}},
    ),
    "update_or_create, new": lambda q: (
        q(Account),
        "update_or_create",
        {"owner": "Eve", "defaults": {"balance": 7}},
    ),
    "bulk_create": lambda q: (
        q(Account),
        "bulk_create",
        {"objs": [Account(owner=f"Eve {n}") for n in range(20)]},
    ),
    "bulk_update": lambda q: (
        q(Account),
        "bulk_update",
        {"objs": [Account(pk=n, balance=n) for n in range(1, 20)], "fields": ["balance"]},
    ),
    "update": lambda q: (q(Account).filter(owner="Ada"), "update", {"balance": 3}),
    "delete": lambda q: (q(Account).filter(owner="Eve"), "delete", {}),
}


async def least(call):
    """Return the least number of calls in some times, the first ones of which fill caches."""
    numbers = []
    for _ in range(7):
        await sync_to_async(reset)()
        terminal = call()
        called = []
        with calls(None, called.append):
            await terminal
        numbers.append(len(called))
    return min(numbers)


def reset():
    QuerySet(Account).exclude(owner="Ada").delete()
    QuerySet(Account).get_or_create(owner="Ada")


# Of what is on the bridge: fewer than a hop to a thread and back takes the time of.
ON_THE_BRIDGE = {"explain": 100}


@pytest.mark.parametrize("case", TERMINALS)
def test_calls(case):
    def ours():
        queryset, name, kwargs = TERMINALS[case](lambda model: model.objects.all())
        return getattr(queryset, f"a{name}")(**kwargs)

    def djangos():
        queryset, name, kwargs = TERMINALS[case](QuerySet)
        method = list if name == "list" else getattr(type(queryset), name)
        return sync_to_async(method)(queryset, **kwargs)

    async def main():
        numbers = await least(ours), await least(djangos)
        await close_connections()
        await sync_to_async(connections.close_all)()
        return numbers

    ours_, djangos_ = asyncio.run(main())
    assert ours_ <= djangos_ + ON_THE_BRIDGE.get(case, 0)
