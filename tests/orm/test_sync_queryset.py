"""Sync terminals, on the bridge and in plain code: Django's answers, by cached statements."""

import asyncio
from unittest import mock

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DataError, connection, connections, transaction
from django.db.backends.postgresql.base import Cursor, DatabaseWrapper
from django.db.models import F, Max, Model, QuerySet
from django.test.utils import CaptureQueriesContext

from tests.library.models import Account, Author, Book, Tag
from tests.support.answers import django_answer, django_hydrates, fingerprint, sync_answer
from tests.support.project import run_in_project
from tests.support.routers import Router, routed
from turbo_orm import AsyncQuerySet, cache_info, explain_cache, run_sync
from turbo_orm.execution import direct, fetching
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.usefixtures("library")

READS = {
    "get": lambda: Author.objects.get(name="Ada"),
    "get of a filter": lambda: Author.objects.filter(name="Ada").get(),
    "get of none": lambda: Author.objects.get(name="none"),
    "get of several": lambda: Author.objects.get(pk__gt=0),
    "get of what is no field": lambda: Author.objects.get(nothing=1),
    "get of a slice": lambda: Author.objects.all()[:1].get(pk=1),
    "get with a join": lambda: Book.objects.select_related("author").get(pk=3).author,
    "first": lambda: Author.objects.order_by("-name").first(),
    "first of none": lambda: Author.objects.filter(name="none").first(),
    "last": lambda: Author.objects.last(),
    "count": lambda: Author.objects.filter(name__startswith="A").count(),
    "count of a slice": lambda: Author.objects.all()[:2].count(),
    "exists": lambda: Author.objects.filter(name="Ada").exists(),
    "list": lambda: list(Author.objects.order_by("pk")),
    "loop": lambda: [author.name for author in Author.objects.order_by("pk")],
    "length": lambda: len(Author.objects.filter(pk__in=[1, 2])),
    "index": lambda: Author.objects.order_by("pk")[1],
    "values": lambda: list(Author.objects.values("pk", "name").order_by("pk")),
    "flat values": lambda: list(Author.objects.values_list("name", flat=True).order_by("pk")),
    "prefetch": lambda: [
        list(author.books.all()) for author in Author.objects.prefetch_related("books")
    ],
    "related": lambda: list(Author.objects.get(name="Ada").books.order_by("pk")),
    "twice": lambda: (
        [list(found), list(found)] if (found := Author.objects.order_by("pk")) else None
    ),
    "then its query": lambda: (
        len(found := Author.objects.filter(pk__gt=1)),
        str(found.query),
        found.filter(pk__lt=3).count(),
    ),
}


def answer(ask):
    with CaptureQueriesContext(connection) as captured:
        try:
            returned = fingerprint(ask())
        except Exception as exc:
            returned = type(exc), str(exc)
    return returned, [query["sql"] for query in captured]


@pytest.mark.parametrize("case", READS)
def test_reading(case, run):
    async def steps():
        before = cache_info().hits
        found = [await run_sync(answer, READS[case]) for _ in range(4)]
        try:
            returned = fingerprint(await run_sync(READS[case]))
        except Exception as exc:
            returned = type(exc), str(exc)
        return [*found, (returned, found[0][1])], cache_info().hits - before

    with django_hydrates():
        expected = answer(READS[case])
    cache.clear()
    found, hits = run(steps)
    assert found == [expected] * 5
    if case not in {"get of what is no field", "get of a slice"}:
        assert hits >= 1


def test_what_is_traced_on_the_bridge_serves_async_code_and_the_other_way_round(run):
    async def steps():
        for _ in range(3):
            await run_sync(Author.objects.get, name="Ada")
        before = cache_info().hits
        await Author.objects.aget(name="Ada")
        await run_sync(Author.objects.get, name="Bo")
        return cache_info().hits - before

    cache.clear()
    assert run(steps) == 2


class Noting(AsyncQuerySet):
    """Overrides terminals, and notes what they are called with."""

    called = []

    def get(self, *args, **kwargs):
        self.called.append((args, kwargs))
        return super().get(*args, **kwargs)

    async def aget(self, *args, **kwargs):
        self.called.append((args, kwargs))
        return await super().aget(*args, **kwargs)


async def noted(get):
    """What was called each time, of three: unknown to the cache, recorded, and a hit."""
    cache.clear()
    found = []
    for _ in range(3):
        Noting.called.clear()
        await get()
        found.append(Noting.called[:])
    return found


def test_what_overrides_get_is_called_once(run):
    def get():
        return run_sync(Noting(Author).get, name="Ada")

    assert run(lambda: noted(get)) == [[((), {"name": "Ada"})]] * 3


def test_what_overrides_aget_alone_is_called_once(run, monkeypatch):
    monkeypatch.delattr(Noting, "get")

    def get():
        return Noting(Author).aget(name="Ada")

    assert run(lambda: noted(get)) == [[((), {"name": "Ada"})]] * 3


def test_a_mock_of_get_is_called_with_the_arguments(run):
    def get():
        with mock.patch.object(QuerySet, "get", return_value=5) as replaced:
            return Author.objects.get(name="Ada"), replaced.mock_calls

    async def steps():
        for _ in range(3):
            await run_sync(Author.objects.get, name="Ada")
        return await run_sync(get)

    assert run(steps) == (5, [mock.call(name="Ada")])


@pytest.mark.usefixtures("scratch")
def test_writing(run):
    def change():
        with transaction.atomic():
            rows = Account.objects.filter(owner="Ada").update(balance=F("balance") + 1)
            locked = Account.objects.select_for_update().get(owner="Ada")
        return rows, locked.balance, Account.objects.filter(balance__lt=0).update(balance=0)

    async def steps():
        await Account.objects.acreate(owner="Ada", balance=1)
        return [await run_sync(change) for _ in range(4)]

    assert run(steps) == [(1, balance, 0) for balance in (2, 3, 4, 5)]


class TestPlainCode:
    """Code that runs on no bridge and in no event loop."""

    @pytest.mark.parametrize("case", READS)
    def test_reading(self, case):
        expected = django_answer(READS[case])
        cache.clear()
        before = cache_info().hits
        assert [sync_answer(READS[case]) for _ in range(4)] == [expected] * 4
        if case not in {"get of what is no field", "get of a slice"}:
            assert cache_info().hits > before

    def test_what_is_traced_serves_async_code(self, run):
        cache.clear()
        for _ in range(2):
            Author.objects.get(name="Ada")
        before = cache_info().hits
        assert run(lambda: Author.objects.aget(name="Bo")).name == "Bo"
        assert cache_info().hits == before + 1

    @pytest.mark.usefixtures("scratch")
    def test_writing(self):
        def change():
            with transaction.atomic():
                rows = Account.objects.filter(owner="Ada").update(balance=F("balance") + 1)
                locked = Account.objects.select_for_update().get(owner="Ada")
            return rows, Account.objects.filter(pk=locked.pk, balance__lt=0).update(balance=0)

        Account.objects.create(owner="Ada", balance=1)
        expected = django_answer(change)
        cache.clear()
        assert [sync_answer(change) for _ in range(4)] == [expected] * 4
        assert Account.objects.get().balance == 6

    def test_a_queryset_that_is_updated_forgets_its_results(self):
        cache.clear()
        for _ in range(3):
            accounts = Account.objects.filter(owner="none")
            assert list(accounts) == []
            assert accounts.update(balance=1) == 0
            assert accounts._result_cache is None

    def test_locking_outside_of_a_transaction_is_refused(self):
        def locked():
            return list(Author.objects.select_for_update().filter(name="Ada"))

        expected = django_answer(locked)
        assert expected["raised"][0] is transaction.TransactionManagementError
        with transaction.atomic():
            for _ in range(3):
                assert len(locked()) == 1
        assert sync_answer(locked) == expected
        connection.close()
        assert sync_answer(locked)["raised"] == expected["raised"]

    @pytest.mark.parametrize(
        "ask",
        [
            lambda: Author.objects.get(name="Ada"),
            lambda: list(Author.objects.filter(pk=1)),
            lambda: Author.objects.filter(pk=1).count(),
            lambda: Author.objects.filter(pk=1).update(born=None),
        ],
    )
    def test_a_broken_transaction_is_refused(self, ask):
        for _ in range(3):
            with transaction.atomic():
                ask()
                transaction.set_rollback(True)

        def in_broken():
            with transaction.atomic():
                try:
                    with transaction.atomic(savepoint=False):
                        raise KeyError
                except KeyError:
                    return ask()

        assert sync_answer(in_broken) == django_answer(in_broken)

    @pytest.mark.parametrize("terminal", ["first", "count", "exists"])
    def test_what_the_server_refuses(self, terminal):
        def ask():
            with transaction.atomic():
                authors = Author.objects.annotate(n=1 / (F("pk") - divisor)).filter(n__gt=0)
                return getattr(authors, terminal)()

        divisor = -1
        for _ in range(3):
            ask()
        divisor = 1
        expected = django_answer(ask)
        assert expected["raised"][0] is DataError
        assert sync_answer(ask) == expected

    def test_an_update_that_fails_breaks_the_transaction(self):
        def change():
            with transaction.atomic():
                try:
                    Author.objects.filter(pk=1).update(name=name)
                except DataError:
                    return connection.needs_rollback, type(connection.rollback_exc)

        name = "Ada"
        for _ in range(3):
            change()
        name = "x" * 101
        expected = django_answer(change)
        assert sync_answer(change) == expected
        assert expected["returned"] is not None

    def test_execute_wrappers_see_the_statement(self):
        def ask():
            seen = []

            def note(execute, sql, params, many, context):
                seen.append((sql, params, many, [*context]))
                return execute(sql, params, many, context)

            with connection.execute_wrapper(note):
                Author.objects.get(name="Ada")
                list(Author.objects.filter(pk__in=[1, 2])[:5])
                Author.objects.filter(name="Ada").update(born=None)
            return seen

        with django_hydrates():
            expected = ask()
        cache.clear()
        assert [ask() for _ in range(4)] == [expected] * 4

    def test_statements_are_logged(self):
        for _ in range(3):
            Author.objects.get(name="Ada")
        before = cache_info().hits
        with CaptureQueriesContext(connection) as captured:
            Author.objects.get(name="Ada")
        assert len(captured) == 1
        assert cache_info().hits == before + 1

    def test_cursors_of_a_tool_are_djangos(self):
        for _ in range(3):
            Author.objects.get(name="Ada")
        opened = []

        def cursor():
            opened.append("cursor")
            return DatabaseWrapper.cursor(connections["default"])

        with mock.patch.object(connections["default"], "cursor", cursor):
            assert Author.objects.get(name="Ada").name == "Ada"
            assert Author.objects.filter(name="Ada").update(born=None) == 1
        assert len(opened) == 2

    def test_a_driver_cursor_of_a_tool_is_djangos(self):
        class ToolsCursor(Cursor):
            pgresult = None

        for _ in range(3):
            Author.objects.get(name="Ada")
        with mock.patch.object(connection.connection, "cursor_factory", ToolsCursor):
            with django_hydrates():
                expected = Author.objects.filter(name="Ada").count()
            assert Author.objects.filter(name="Ada").count() == expected

    def test_statements_with_server_side_binding_are_djangos(self):
        def statement():
            with CaptureQueriesContext(connection) as captured:
                Author.objects.filter(name="Ada").exists()
            return captured[0]["sql"]

        for _ in range(3):
            statement()
        before = cache_info().hits
        with mock.patch.dict(vars(connection.features), uses_server_side_binding=True):
            assert statement()
            with mock.patch.object(direct, "_executed", side_effect=AssertionError):
                assert Author.objects.filter(name="Ada").exists()
        assert cache_info().hits == before

    def test_in_an_event_loop_they_are_refused(self):
        async def ask():
            with pytest.raises(SynchronousOnlyOperation):
                Author.objects.get(name="Ada")
            with pytest.raises(SynchronousOnlyOperation):
                list(Author.objects.filter(pk=1))
            with pytest.raises(SynchronousOnlyOperation):
                Author.objects.filter(pk=1).update(name="Ada")

        for _ in range(3):
            Author.objects.get(name="Ada")
            list(Author.objects.filter(pk=1))
            Author.objects.filter(pk=1).update(name="Ada")
        asyncio.run(ask())

    def test_many_rows_and_models_with_code_of_their_own(self):
        def ask(pages):
            books = list(Book.objects.filter(pages__gte=pages).order_by("pk"))
            return [vars(book) | {"_state": vars(book._state)} for book in books]

        patched = mock.patch.object(Book, "from_db", classmethod(from_db))
        with mock.patch.object(fetching, "SLICE", 2), patched:
            with django_hydrates():
                expected = ask(0)
            cache.clear()
            assert len(expected) > 2
            assert [ask(0) for _ in range(4)] == [expected] * 4

    def test_routers_name_the_database(self):
        reads = [
            lambda: list(Author.objects.filter(name="Ada")),
            lambda: Author.objects.filter(name="Ada").count(),
            lambda: Author.objects.filter(name="Ada").first(),
        ]
        with routed(Router(read="other")):
            for read in reads:
                with django_hydrates():
                    expected = fingerprint(read())
                assert [fingerprint(read()) for _ in range(4)] == [expected] * 4
        for read in reads:
            assert [fingerprint(read()) for _ in range(2)] == [fingerprint(read())] * 2
        assert Author.objects.filter(name="Ada").first()._state.db == "default"

    def test_a_database_of_another_engine_is_djangos(self, tmp_path):
        def ask():
            return Tag.objects.using("lite").filter(label="a").count()

        settings_dict = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "db"}
        connections.settings["lite"] = connections.configure_settings(
            {"default": {}, "lite": settings_dict}
        )["lite"]
        try:
            with connections["lite"].schema_editor() as editor:
                editor.create_model(Tag)
            assert [ask() for _ in range(4)] == [0] * 4
            assert list(Tag.objects.using("lite")) == []
            explained = explain_cache(Tag.objects.using("lite").filter(label="a"), "acount")
            assert explained.reason == "the engine of its database has no async connection"
        finally:
            connections["lite"].close()
            del connections["lite"], connections.settings["lite"]

    def test_an_item_is_a_row_by_its_number(self):
        def ask(authors, index):
            return fingerprint(authors[index])

        for ordered in (Author.objects.order_by("pk"), Author.objects.order_by("pk")[1:]):
            for index in (0, 1, 100, -1, True):
                expected = django_answer(lambda: ask(ordered.all(), index))  # noqa: B023
                for _ in range(3):
                    assert sync_answer(lambda: ask(ordered.all(), index)) == expected  # noqa: B023


NOT_FOUND = """
    from turbo_orm.driver import libpq

    libpq.bind = lambda: False
"""
FIRST_ROWS = """
    from django.db.models import Max
    from tests.library.models import Author
    from turbo_orm import explain_cache

    found = [Author.objects.aggregate(Max("pk")) for _ in range(4)]
    explained = explain_cache(Author.objects.all(), "aaggregate", Max("pk"))
    answer([found, explained.outcome, explained.reason])
"""


@pytest.mark.parametrize("is_found", [True, False])
def test_an_aggregate_may_be_the_first_row_of_a_process(is_found):
    found, outcome, reason = run_in_project(FIRST_ROWS, "" if is_found else NOT_FOUND)
    assert found == [Author.objects.aggregate(Max("pk"))] * 4
    assert (outcome, reason) == (
        ("hit", "") if is_found else ("bypass", "psycopg's libpq was not found")
    )


def from_db(model, db, field_names, values, **kwargs):
    """Query before an instance is made, as a project's method may."""
    Tag.objects.filter(label="none").first()
    return Model.from_db.__func__(model, db, field_names, values, **kwargs)
