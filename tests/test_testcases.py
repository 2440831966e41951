"""Test cases for users: whatever sync and async code writes is there for both, and then gone."""

import asyncio
import threading
import unittest

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.db import IntegrityError, connection, connections, transaction
from django.db.models.signals import post_save
from django.db.transaction import TransactionManagementError
from django.test import TestCase, TransactionTestCase, override_settings
from django.test.testcases import DatabaseOperationForbidden
from django.urls import path

from tests.library.models import Account, Entry, Event
from tests.support.tables import empty
from turbo_orm import async_atomic, async_connection, async_pipeline, run_sync
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.test import AsyncTestCase, shared_connections


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left(tables):
    Account.objects.all().delete()
    yield
    assert list(Account.objects.all()) == []


async def count(request):
    from django.http import JsonResponse

    made = await Account.objects.acreate(owner="by the view")
    found = await asyncio.gather(Account.objects.acount(), Account.objects.acount())
    return JsonResponse({"made": made.pk is not None, "found": found})


urlpatterns = [path("count", count)]


@pytest.fixture(scope="module", autouse=True)
def _without_rows(tables):
    """Have no rows that other tests have committed."""
    for alias in ("default", "other"):
        empty(alias)


class Transactions(AsyncTestCase):
    """Each test finds what the class has set up, and nothing of another test."""

    @classmethod
    def setUpTestData(cls):
        cls.ada = Account.objects.create(owner="Ada", balance=1)

    def setUp(self):
        Entry.objects.create(account=self.ada, amount=5)

    async def asyncSetUp(self):
        await Entry.objects.acreate(account=self.ada, amount=6)

    async def test_async_code_sees_what_sync_code_has_written(self):
        assert await Account.objects.aget() == self.ada
        assert [entry.amount async for entry in self.ada.entries.order_by("pk")] == [5, 6]

    async def test_sync_code_sees_what_async_code_has_written(self):
        await Account.objects.acreate(owner="Bo")
        assert await sync_to_async(Account.objects.count)() == 2
        await sync_to_async(Account.objects.create)(owner="Cy")
        assert await Account.objects.acount() == 3

    def test_sync_code_alone(self):
        Account.objects.create(owner="Bo")
        assert Account.objects.count() == 2
        assert Entry.objects.count() == 1

    async def test_one(self):
        await self.write()

    async def test_another(self):
        await self.write()

    async def write(self):
        assert await Account.objects.acount() == 1
        async with async_atomic():
            await Account.objects.acreate(owner="Bo")
            await Account.objects.filter(owner="Ada").aupdate(balance=100)
        assert await Account.objects.acount() == 2

    async def test_the_instances_of_the_class_are_as_they_were(self):
        self.ada.balance = 50
        await self.ada.asave()
        await self.ada.arefresh_from_db()
        assert self.ada.balance == 50

    async def test_the_instances_of_the_class_are_as_they_were_again(self):
        assert self.ada.balance == 1

    async def test_a_time_zone_that_is_set_is_that_of_async_code(self):
        await Event.objects.acreate(name="A birthday")
        created = Event.objects.values_list("created", flat=True)
        for zone in ({"USE_TZ": False, "TIME_ZONE": "Asia/Tokyo"}, {"USE_TZ": True}):
            with override_settings(**zone):
                djangos = await sync_to_async(created.get)()
                assert await created.aget() == djangos
                assert (djangos.tzinfo is None) != settings.USE_TZ

    async def test_an_inner_transaction_is_rolled_back_alone(self):
        @async_atomic
        async def fail():
            await Account.objects.acreate(owner="Bo")
            await Account.objects.acreate(owner="Ada")

        with pytest.raises(IntegrityError):
            await fail()
        assert await Account.objects.acount() == 1

    async def test_a_durable_transaction_may_be_the_outermost_of_a_test(self):
        async with async_atomic(durable=True):
            with pytest.raises(RuntimeError, match="durable"):
                async with async_atomic(durable=True):
                    pass

    async def test_an_iterator(self):
        await Account.objects.abulk_create([Account(owner=f"{n}") for n in range(7)])
        found = []
        async for account in Account.objects.order_by("pk").aiterator(chunk_size=2):
            found.append(account.owner)
            await account.entries.acreate(amount=1)
        assert found == ["Ada", *map(str, range(7))]

    async def test_no_thread_waits_for_the_database(self):
        assert await Account.objects.acount() == 1
        assert async_connections["default"].connection.pgconn is (
            async_connections["default"].django.connection.pgconn
        )


class Tasks(AsyncTestCase):
    async def test_gathered_terminals_give_their_results(self):
        await Account.objects.abulk_create([Account(owner=f"{n}") for n in range(5)])
        accounts = Account.objects.order_by("pk")
        found = await asyncio.gather(
            accounts.alist(), accounts.acount(), accounts.aexists(), accounts.alast()
        )
        assert len(found[0]) == 5
        assert found[1:3] == [5, True]
        assert found[3].owner == "4"

    async def test_tasks_with_transactions_wait_for_each_other(self):
        async def write(number):
            try:
                async with async_atomic():
                    account = await Account.objects.acreate(owner=f"{number}")
                    await asyncio.sleep(0.001)
                    async with async_atomic():
                        await account.entries.acreate(amount=1)
                        await asyncio.sleep(0)
                    if number % 2:
                        raise KeyError
            except KeyError:
                pass

        await asyncio.gather(*[write(number) for number in range(10)])
        assert sorted(map(int, [a.owner async for a in Account.objects.all()])) == [0, 2, 4, 6, 8]
        assert await Entry.objects.acount() == 5

    async def test_a_task_that_waits_for_its_turn_can_be_cancelled(self):
        started = asyncio.Event()

        async def hold():
            async with async_atomic():
                started.set()
                await asyncio.sleep(0.02)

        holder = asyncio.create_task(hold())
        await started.wait()
        waiting = [asyncio.create_task(Account.objects.acount()) for _ in range(4)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[2].cancel()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        await holder
        assert [isinstance(result, int) for result in found] == [False, True, False, True]
        assert await Account.objects.acount() == 0

    async def test_gathering_inside_a_transaction_is_refused_as_it_is_elsewhere(self):
        async with async_atomic():
            await Account.objects.acreate(owner="Ada")
            results = await asyncio.gather(
                Account.objects.acount(), Account.objects.acount(), return_exceptions=True
            )
        assert [type(result) for result in results] == [TransactionManagementError] * 2
        assert "test_testcases.py" in str(results[0])
        assert await Account.objects.acount() == 1

    async def test_tasks_of_a_pipeline_are_in_the_transaction(self):
        async def create(owner):
            return (await Account.objects.acreate(owner=owner)).owner

        for number in range(3):
            async with async_atomic():
                await Account.objects.acreate(owner=f"Ada {number}")
                async with async_pipeline():
                    found = await asyncio.gather(
                        Account.objects.acount(),
                        create(f"Bo {number}"),
                        Account.objects.acount(),
                        run_sync(Account.objects.count),
                    )
                    with pytest.raises(TransactionManagementError, match="async_pipeline"):
                        async with async_atomic():
                            pass
            count = 2 * number + 1
            assert found == [count, f"Bo {number}", count + 1, count + 1]
        async with async_pipeline():
            found = await asyncio.gather(Account.objects.acount(), create("Cy"))
        assert found == [6, "Cy"]
        assert async_connections["default"].pipeline is None

    async def test_a_task_may_ask_for_a_connection_inside_a_transaction(self):
        async def log():
            async with async_connection():
                await Account.objects.acreate(owner="log")

        async with async_atomic():
            await Account.objects.acreate(owner="Ada")
            await asyncio.create_task(log())
        assert await Account.objects.acount() == 2


class Signals(AsyncTestCase):
    async def test_receivers_are_in_the_transaction(self):
        told = []

        async def receive(instance, **kwargs):
            told.append(await Account.objects.acount())

        def receive_too(instance, **kwargs):
            told.append(Account.objects.count())

        post_save.connect(receive, sender=Account)
        post_save.connect(receive_too, sender=Account)
        try:
            await Account.objects.acreate(owner="Ada")
        finally:
            post_save.disconnect(receive, sender=Account)
            post_save.disconnect(receive_too, sender=Account)
        assert told == [1, 1]

    async def test_functions_that_wait_for_the_commit_are_captured(self):
        called = []

        async def call():
            called.append(await Account.objects.acount())

        async with self.acaptureOnCommitCallbacks(execute=True) as callbacks, async_atomic():
            await Account.objects.acreate(owner="Ada")
            transaction.on_commit(call)
            transaction.on_commit(lambda: called.append("sync"))
            assert called == []
        assert len(callbacks) == 2
        assert called == [1, "sync"]

    async def test_without_execute_they_are_only_listed(self):
        async with self.acaptureOnCommitCallbacks() as callbacks, async_atomic():
            transaction.on_commit(lambda: pytest.fail("called"))
        assert len(callbacks) == 1


class NumbersOfQueries(AsyncTestCase):
    async def test_in_a_block(self):
        async with self.aassertNumQueries(2) as captured:
            await Account.objects.acount()
            await Account.objects.acreate(owner="Ada")
        assert [query["sql"].split()[0] for query in captured] == ["SELECT", "INSERT"]

    async def test_of_a_function(self):
        await self.aassertNumQueries(1, Account.objects.filter(owner="Ada").acount)
        await self.aassertNumQueries(1, Account.objects.acreate, owner="Ada")

    async def test_of_tasks(self):
        async with self.aassertNumQueries(3):
            await asyncio.gather(*[Account.objects.acount() for _ in range(3)])

    async def test_of_djangos_own_method(self):
        with self.assertNumQueries(1):
            await Account.objects.acount()

    async def test_a_wrong_number_shows_the_statements(self):
        with pytest.raises(AssertionError, match=r"1 queries executed, 2 expected[\s\S]*SELECT"):
            async with self.aassertNumQueries(2):
                await Account.objects.acount()

    async def test_of_another_database(self):
        with pytest.raises(DatabaseOperationForbidden, match="'other'"):
            await Account.objects.using("other").acount()


class OtherDatabases(AsyncTestCase):
    databases = {"default", "other"}

    async def test_are_in_transactions_of_their_own(self):
        await Account.objects.using("other").acreate(owner="Ada")
        async with self.aassertNumQueries(1, using="other"):
            assert await Account.objects.using("other").acount() == 1
        assert await Account.objects.acount() == 0

    async def test_and_rolled_back(self):
        assert await Account.objects.using("other").acount() == 0


@override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"])
class Views(AsyncTestCase):
    async def test_the_async_client(self):
        response = await self.async_client.get("/count")
        assert response.json() == {"made": True, "found": [1, 1]}
        assert await Account.objects.acount() == 1

    def test_the_sync_client(self):
        response = self.client.get("/count")
        assert response.json() == {"made": True, "found": [1, 1]}
        assert Account.objects.count() == 1


class OfDjango(TestCase):
    """A test case of Django's: nothing of turbo-orm's is imported for it."""

    databases = {"default", "other"}

    @classmethod
    def setUpTestData(cls):
        cls.ada = Account.objects.create(owner="Ada")

    def setUp(self):
        Account.objects.using("other").create(owner="elsewhere")

    async def test_async_code_is_in_the_transaction(self):
        assert await Account.objects.aget() == self.ada
        await Account.objects.acreate(owner="Bo")
        assert await sync_to_async(Account.objects.count)() == 2
        assert await asyncio.to_thread(Account.objects.count) == 2
        assert await Account.objects.using("other").acount() == 1

    test_and_rolled_back_with_it = test_async_code_is_in_the_transaction

    async def test_tasks_take_turns(self):
        counts = await asyncio.gather(*(Account.objects.acount() for _ in range(3)))
        assert counts == [1, 1, 1]

    async def test_a_savepoint(self):
        with pytest.raises(IntegrityError):
            async with async_atomic():
                await Account.objects.acreate(owner="Ada")
        assert await Account.objects.acount() == 1

    async def test_async_client(self):
        with override_settings(ROOT_URLCONF=__name__):
            response = await self.async_client.get("/count")
        assert response.json() == {"made": True, "found": [2, 2]}

    def test_async_code_that_sync_code_calls(self):
        async_to_sync(Account.objects.all().acreate)(owner="Bo")
        with transaction.atomic():
            assert async_to_sync(Account.objects.all().acount)() == 2
            transaction.set_rollback(True)
        assert Account.objects.count() == 2

    def test_async_code_that_is_called_inside_a_block_may_gather(self):
        async def gather():
            child = asyncio.create_task(Account.objects.acount())
            counts = await asyncio.gather(Account.objects.acount(), Account.objects.acount())
            return [*counts, await child]

        with transaction.atomic():
            Account.objects.create(owner="Bo")
            assert async_to_sync(gather)() == [2, 2, 2]

    def test_another_thread_has_its_own_connection(self):
        """As with Django."""

        def look():
            try:
                found.append(Account.objects.count())
            finally:
                connections.close_all()

        found = []
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert found == [0]

    def test_in_an_event_loop_it_is_refused(self):
        async def enter():
            with shared_connections():
                pass

        with pytest.raises(SynchronousOnlyOperation, match="An event loop runs here"):
            asyncio.run(enter())


def test_django_may_be_told_to_let_code_in_an_event_loop_wait(monkeypatch):
    class Sync(TestCase):
        def runTest(self):
            Account.objects.create(owner="Ada")
            assert not async_connections.shared

    async def main():
        result = unittest.TestResult()
        unittest.TestSuite([Sync()]).run(result)
        return result

    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    result = asyncio.run(main())
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


class OfOneDatabase(TestCase):
    async def test_another_one_is_forbidden(self):
        with pytest.raises(DatabaseOperationForbidden):
            await Account.objects.using("other").acount()
        assert await Account.objects.acount() == 0


class Committed(TransactionTestCase):
    """Nothing is shared where nothing is rolled back."""

    def _fixture_teardown(self):
        """Do not empty all tables: other tests share what is in them."""
        Account.objects.all().delete()

    async def test_async_code_has_a_connection_of_its_own(self):
        assert not async_connections.shared
        await Account.objects.acreate(owner="Ada")
        assert await sync_to_async(Account.objects.count)() == 1
        await async_connections["default"].close()


def test_nothing_is_shared_afterwards(tables):
    assert async_connections.shared == {}
    connection.ensure_connection()
    assert not connection.allow_thread_sharing
