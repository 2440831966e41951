"""A plan that was kept serves results like the one it was made for, and no others."""

import asyncio
import gc
import weakref

import pytest
from django.db import connection, connections
from psycopg.adapt import Loader

from tests.library.models import Account, Author, Book, Sample
from tests.support.answers import fingerprint
from tests.support.event_loop import close_connections
from turbo_orm import async_connection, bridge
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.usefixtures("library")


def kept(queryset):
    """Return the plan that is kept for the rows of a queryset."""
    (found,) = queryset._cached.entry.statements.values()
    return found.cached_plan


def samples():
    return Sample.objects.exclude(pk=0).order_by("pk")


async def ask_again(make):
    # Once, Django drops dead receivers of post_init, and the cache is emptied; twice it is asked
    # until the plan is cached; and once the plan is used.
    for _ in range(4):
        found = await make().alist()
    assert kept(make()) is not None
    return found


def execute(sql):
    def run():
        with connection.cursor() as cursor:
            cursor.execute(sql)

    return bridge.run(run)


async def outcome(awaitable):
    """Return what is found, or what the driver cannot read."""
    try:
        return fingerprint(await awaitable)
    except NotImplementedError as exc:
        return str(exc)


SETTINGS = [
    ("DateStyle", "SQL, DMY", "ISO, MDY"),
    ("DateStyle", "German, DMY", "ISO, MDY"),
    ("IntervalStyle", "postgres_verbose", "postgres"),
    ("TimeZone", "Asia/Kolkata", "UTC"),
]


@pytest.mark.parametrize(("name", "value", "usual"), SETTINGS)
@pytest.mark.parametrize("field", ["date", "span", "moment"])
def test_another_session(name, value, usual, field, run):
    """What the server sends is text, which depends on its settings."""

    def make():
        return Sample.objects.filter(pk__in=[2, 4]).order_by("pk").only(field)

    async def ask():
        before = fingerprint(await ask_again(make))
        async with async_connection():
            await execute(f"SET {name} = '{value}'")
            ours = await outcome(make().alist())
            assert ours == await outcome(bridge.run(lambda: list(make())))
            await execute(f"SET {name} = '{usual}'")
            assert fingerprint(await make().alist()) == before

    run(ask)


def test_another_type_of_a_column(run, scratch):
    Account.objects.create(owner="Ada", balance=3)

    def make():
        return Account.objects.filter(owner="Ada").values_list("balance", flat=True)

    async def ask():
        assert await ask_again(make) == [3]
        await execute("ALTER TABLE library_account ALTER balance TYPE text")
        try:
            assert await make().alist() == ["3"]
        finally:
            await execute(
                "ALTER TABLE library_account ALTER balance TYPE integer USING balance::integer"
            )
        assert await make().alist() == [3]

    run(ask)


class Shouting(Loader):
    def load(self, data):
        return bytes(data).decode().upper()


def test_a_loader_that_is_registered(run):
    def make():
        return Author.objects.filter(pk=1).values_list("name", flat=True)

    async def ask():
        assert await ask_again(make) == ["Ada"]
        async with async_connection():

            def register():
                connection.ensure_connection()
                connection.connection.adapters.register_loader("varchar", Shouting)

            await bridge.run(register)
            assert await make().alist() == ["ADA"]
            assert await make().alist() == ["ADA"]
            await bridge.run(lambda: connection.close())
        assert await make().alist() == ["Ada"]

    run(ask)


def test_no_connection_is_kept_alive():
    """Nor is an event loop: what is known belongs to the process."""
    cache.clear()
    alive = []

    async def ask():
        for make in (samples, lambda: Book.objects.select_related("author").filter(pk__gt=3)):
            await ask_again(make)
            await make().acount()

        def note():
            alive.append(weakref.ref(connection.connection))

        await bridge.run(note)
        alive.append(weakref.ref(asyncio.get_running_loop()))
        await close_connections()

    asyncio.run(ask())
    gc.collect()
    assert len(cache) > 3
    assert [each() for each in alive] == [None, None]


def test_rows_of_another_database(run):
    """Each has a statement of its own."""

    async def ask():
        def make(alias):
            return Author.objects.using(alias).order_by("pk")

        for _ in range(3):
            assert await make("default").alist()
            assert await make("other").alist() == []

    run(ask)
    assert "other" in connections
