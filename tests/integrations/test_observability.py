"""Whoever watches Django's statements sees turbo-orm's, in coroutines and as Django shows them."""

import asyncio
import logging

import pytest
from django.db import connection, connections, reset_queries
from django.test.utils import CaptureQueriesContext, override_settings

from tests.library.models import Account, Entry
from tests.support.answers import fingerprint
from tests.support.givens import accounts
from turbo_orm import async_atomic
from turbo_orm.backend.task_connections import async_connections

pytestmark = pytest.mark.usefixtures("scratch", "empty_log")


@pytest.fixture
def empty_log():
    """Django logs so many statements and no more, and the tests before have executed many."""
    connection.queries_log.clear()


async def by_terminals():
    async with async_atomic():
        account = await Account.objects.acreate(owner="it's 100 %", balance=1)
        await account.entries.acreate(amount=2)
        await Entry.objects.filter(account__owner="it's 100 %").aupdate(amount=3)
    found = (
        await Account.objects.filter(owner__startswith="it").prefetch_related("entries").alist()
    )
    await Account.objects.aaggregate()
    async for _ in Account.objects.raw("SELECT * FROM library_account WHERE balance < %s", [5]):
        pass
    await found[0].adelete()


def by_django():
    from django.db import transaction

    with transaction.atomic():
        account = Account.objects.create(owner="it's 100 %", balance=1)
        account.entries.create(amount=2)
        Entry.objects.filter(account__owner="it's 100 %").update(amount=3)
    found = list(Account.objects.filter(owner__startswith="it").prefetch_related("entries"))
    Account.objects.aggregate()
    list(Account.objects.raw("SELECT * FROM library_account WHERE balance < %s", [5]))
    found[0].delete()


def without_keys(queries):
    """Leave out what differs from one run to the next: the keys of the rows."""
    return [
        "".join(character for character in query["sql"] if not character.isdigit())
        for query in queries
    ]


def test_captured_queries(run):
    with CaptureQueriesContext(connection) as of_django:
        by_django()

    async def steps():
        with CaptureQueriesContext(connection) as captured:
            await by_terminals()
        await Account.objects.acount()
        return captured.captured_queries

    ours = run(steps)
    assert without_keys(ours) == without_keys(of_django.captured_queries)
    assert [set(query) for query in ours] == [set(q) for q in of_django.captured_queries]
    assert all(float(query["time"]) >= 0 for query in ours)


@pytest.mark.parametrize("debug", [True, False])
def test_connection_queries(debug, run):
    async def steps():
        await Account.objects.acount()
        before = len(connection.queries)
        await by_terminals()
        found = connection.queries[before:]
        reset_queries()
        assert connection.queries == []
        return found

    with override_settings(DEBUG=debug):
        by_django()
        of_django = connection.queries
        ours = run(steps)
    assert without_keys(ours) == without_keys(of_django)
    assert bool(ours) is debug


def test_each_database_has_its_own_log(run):
    async def steps():
        with CaptureQueriesContext(connections["other"]) as captured:
            await Account.objects.acount()
            await Account.objects.using("other").acount()
        return len(captured)

    assert run(steps) == 1


class Recorder:
    """An execute wrapper."""

    def __init__(self):
        self.seen = []

    def __call__(self, execute, sql, params, many, context):
        self.seen.append((sql, params, many, context["connection"].alias))
        return execute(sql, params, many, context)


def test_execute_wrappers(run):
    of_django, ours = Recorder(), Recorder()
    with connection.execute_wrapper(of_django):
        by_django()

    async def steps():
        with connection.execute_wrapper(ours):
            await by_terminals()
        await Account.objects.acount()

    run(steps)
    assert [(sql, many, alias) for sql, _, many, alias in ours.seen] == [
        (sql, many, alias) for sql, _, many, alias in of_django.seen
    ]
    assert ours.seen[0][1] == of_django.seen[0][1]


def test_an_execute_wrapper_that_refuses(run):
    def refuse(execute, sql, params, many, context):
        raise PermissionError(sql)

    async def steps():
        with connection.execute_wrapper(refuse):
            for ask in (
                Account.objects.acount,
                Account.objects.alist,
                lambda: Account.objects.acreate(owner="Ada"),
            ):
                with pytest.raises(PermissionError, match="library_account"):
                    await ask()
        return await Account.objects.acount()

    assert run(steps) == 0


def test_execute_wrappers_of_one_task_do_not_see_another(run):
    async def count(recorder, times):
        with connection.execute_wrapper(recorder):
            for _ in range(times):
                await Account.objects.acount()

    async def steps():
        recorders = [Recorder() for _ in range(3)]
        await asyncio.gather(*[count(r, n) for n, r in enumerate(recorders)])
        return [len(recorder.seen) for recorder in recorders]

    assert run(steps) == [0, 1, 2]


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_the_logger_of_backends(level, run, caplog):
    def logged():
        found = [
            (
                record.levelname,
                without_keys([{"sql": record.sql}]),
                record.alias,
                record.msg,
            )
            for record in caplog.records
            if record.name == "django.db.backends"
        ]
        caplog.clear()
        return found

    with override_settings(DEBUG=True), caplog.at_level(level, "django.db.backends"):
        by_django()
        of_django = logged()
        run(by_terminals)
        ours = logged()
    assert ours == of_django
    assert bool(ours) is (level == "DEBUG")
    assert logging.getLogger("django.db.backends").level == logging.NOTSET


def test_the_backends_own_log_is_the_same_one(run):
    async def steps():
        await Account.objects.acount()
        assert connection.queries_log is async_connections["default"].queries_log

    run(steps)


def prefixed(execute, sql, params, many, context):
    """Do what pgtrigger.ignore() and pghistory.context() do, and look at the rows of the query."""
    if getattr(context["cursor"], "name", None):
        return execute(sql, params, many, context)
    result = execute(
        "SELECT set_config('turbo_orm.prefix', 'x', false); " + sql, params, many, context
    )
    context["cursor"].nextset()
    return result


READS = {
    "list": (
        lambda: list(Account.objects.order_by("pk")),
        lambda: Account.objects.order_by("pk").alist(),
    ),
    "values_list": (
        lambda: list(Account.objects.values_list("owner")),
        lambda: Account.objects.values_list("owner").alist(),
    ),
    "iterated": (
        lambda: list(Account.objects.order_by("pk")),
        lambda: iterated(Account.objects.order_by("pk")),
    ),
    "iterator": (
        lambda: list(Account.objects.order_by("pk").iterator()),
        lambda: iterated(Account.objects.order_by("pk").aiterator()),
    ),
    "in_bulk": (lambda: Account.objects.in_bulk(), lambda: Account.objects.ain_bulk()),
    "get": (
        lambda: Account.objects.get(owner="Ada"),
        lambda: Account.objects.aget(owner="Ada"),
    ),
    "count": (lambda: Account.objects.count(), lambda: Account.objects.acount()),
    "prefetch": (
        lambda: list(Account.objects.prefetch_related("entries")),
        lambda: Account.objects.prefetch_related("entries").alist(),
    ),
}


async def iterated(rows):
    return [each async for each in rows]


@pytest.mark.parametrize("case", READS)
def test_an_execute_wrapper_that_sends_another_statement_first(run, case):
    by_django, ours = READS[case]
    accounts()
    with connection.execute_wrapper(prefixed):
        expected = fingerprint(by_django())

    async def steps():
        found = []
        for _ in range(3):
            with connection.execute_wrapper(prefixed):
                found.append(fingerprint(await ours()))
        return found

    assert run(steps) == [expected] * 3
