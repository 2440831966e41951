"""Transactions: ``async_atomic`` against Django's ``atomic``, and together with it."""

from contextlib import suppress

import psycopg
import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connections,
    transaction,
)
from django.db.models import CharField, F, Func, Value
from django.db.models.signals import post_save
from django.db.transaction import TransactionManagementError
from django_async_backend.db import async_connections
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus

from tests.library.models import Account, Entry
from tests.support.project import databases, run_in_project
from turbo_orm import async_atomic, bridge

ADA = {"owner": "Ada", "balance": 1}
BO = {"owner": "Bo", "balance": 2}
CY = {"owner": "Cy", "balance": 3}

SLEEP = Func(Value(60), function="pg_sleep", output_field=CharField())


class OfNoAccount(Exception):
    """Raised by the tests alone."""


def ada():
    Account.objects.create(**ADA)


def owners(alias="default"):
    return list(Account.objects.using(alias).order_by("pk").values_list("owner", flat=True))


def transaction_status():
    driver = async_connections["default"].connection
    return None if driver is None or driver.closed else driver.info.transaction_status


# async_atomic, as Django's atomic


def test_a_block_is_committed(play):
    async def steps(orm):
        async with orm.atomic():
            await orm.call(Account.objects, "create", **ADA)
            await orm.call(Account.objects, "create", **BO)

    answer = play(steps)
    assert answer["statements"][0] == "BEGIN"
    assert answer["statements"][-1] == "COMMIT"
    assert owners() == ["Ada", "Bo"]


def test_a_block_that_raises_is_rolled_back(play):
    async def steps(orm):
        async with orm.atomic():
            await orm.call(Account.objects, "create", **ADA)
            raise OfNoAccount("nothing of it")

    answer = play(steps, raises=OfNoAccount)
    assert answer["statements"][-1] == "ROLLBACK"
    assert owners() == []


def test_an_empty_block(play):
    async def steps(orm):
        async with orm.atomic():
            pass

    assert play(steps)["statements"] == ["BEGIN", "COMMIT"]


def test_a_savepoint_is_rolled_back_alone(play):
    async def steps(orm):
        async with orm.atomic():
            await orm.call(Account.objects, "create", **ADA)
            with suppress(OfNoAccount):
                async with orm.atomic():
                    await orm.call(Account.objects, "create", **BO)
                    async with orm.atomic():
                        await orm.call(Account.objects, "create", owner="Di")
                    raise OfNoAccount
            async with orm.atomic():
                await orm.call(Account.objects, "create", **CY)

    statements = play(steps)["statements"]
    assert sum(statement.startswith("SAVEPOINT") for statement in statements) == 3
    assert owners() == ["Ada", "Cy"]


def test_an_error_of_the_database_in_a_savepoint(play):
    async def steps(orm):
        async with orm.atomic():
            with suppress(IntegrityError):
                async with orm.atomic():
                    await orm.call(Account.objects, "create", **ADA)
            return await orm.call(Account.objects, "create", **BO)

    play(steps, given=ada)
    assert owners() == ["Ada", "Bo"]


def test_without_a_savepoint_an_inner_error_dooms_the_outer_block(play):
    async def steps(orm):
        async with orm.atomic():
            await orm.call(Account.objects, "create", **ADA)
            with suppress(OfNoAccount):
                async with orm.atomic(savepoint=False):
                    await orm.call(Account.objects, "create", **BO)
                    raise OfNoAccount

    statements = play(steps)["statements"]
    assert not any("SAVEPOINT" in statement for statement in statements)
    assert owners() == []


DOOMED = {
    "count": lambda: (Account.objects, "count", {}),
    "get": lambda: (Account.objects, "get", {"owner": "Ada"}),
    "create": lambda: (Account.objects, "create", CY),
    "bulk_create": lambda: (Account.objects, "bulk_create", {"objs": [Account(**CY)]}),
    "update": lambda: (Account.objects.all(), "update", {"balance": 1}),
    "delete": lambda: (Account.objects.all(), "delete", {}),
    "get_or_create": lambda: (Account.objects, "get_or_create", {"owner": "x"}),
}


@pytest.mark.parametrize("method", DOOMED)
def test_a_doomed_block_executes_nothing_more(method, play):
    async def steps(orm):
        async with orm.atomic():
            with suppress(IntegrityError):
                await orm.call(Account.objects, "create", **ADA)
            owner, name, kwargs = DOOMED[method]()
            await orm.call(owner, name, **kwargs)

    play(steps, given=ada, raises=TransactionManagementError)


def test_a_doomed_block_yields_no_rows(play):
    async def steps(orm):
        async with orm.atomic():
            with suppress(IntegrityError):
                await orm.call(Account.objects, "create", **ADA)
            await orm.list(Account.objects.all())

    play(steps, given=ada, raises=TransactionManagementError)


def test_a_doomed_block_can_be_saved_by_its_savepoint(play):
    async def steps(orm):
        async with orm.atomic():
            with suppress(IntegrityError):
                async with orm.atomic():
                    with suppress(IntegrityError):
                        await orm.call(Account.objects, "create", **ADA)
            return await orm.call(Account.objects, "count")

    play(steps, given=ada)


def test_a_statement_after_a_failed_query_is_the_databases_error(play):
    async def steps(orm):
        async with orm.atomic():
            with suppress(DataError):
                await orm.call(Account.objects.extra(where=["1 / 0 = 1"]), "count")
            await orm.call(Account.objects, "count")

    play(steps, given=ada, raises=InternalError)


def test_a_durable_block_must_be_the_outermost(play):
    async def steps(orm):
        async with orm.atomic(durable=True):
            await orm.call(Account.objects, "create", **ADA)
            with pytest.raises(RuntimeError, match="durable"):
                async with orm.atomic(durable=True):
                    pass
            await orm.call(Account.objects, "create", **BO)

    play(steps)
    assert owners() == ["Ada", "Bo"]


def test_a_constraint_that_is_checked_at_the_commit(play):
    async def steps(orm):
        async with orm.atomic():
            await orm.call(Account.objects, "create", **ADA)
            await orm.call(Entry.objects, "create", account_id=1000, amount=1)

    play(steps, raises=IntegrityError)
    assert owners() == []


def test_as_a_decorator(scratch, run):
    @async_atomic
    async def commit(owner):
        """Write one."""
        await Account.objects.acreate(owner=owner)
        return transaction_status()

    @async_atomic(savepoint=False)
    async def fail(owner):
        await Account.objects.acreate(owner=owner)
        raise OfNoAccount

    async def steps():
        assert await commit("Ada") is TransactionStatus.INTRANS
        with pytest.raises(OfNoAccount):
            await fail("Bo")
        assert await commit("Cy") is TransactionStatus.INTRANS

    run(steps)
    assert commit.__doc__ == "Write one."
    assert owners() == ["Ada", "Cy"]


def test_one_block_can_be_entered_again(scratch, run):
    async def steps():
        block = async_atomic()
        async with block:
            await Account.objects.acreate(**ADA)
            with suppress(OfNoAccount):
                async with block:
                    await Account.objects.acreate(**BO)
                    raise OfNoAccount
        async with block:
            await Account.objects.acreate(**CY)

    run(steps)
    assert owners() == ["Ada", "Cy"]


@pytest.mark.parametrize("keyword", [True, False])
def test_using_another_database(keyword, scratch, run):
    async def steps():
        block = async_atomic(using="other") if keyword else async_atomic("other")
        with suppress(OfNoAccount):
            async with block:
                await Account.objects.using("other").acreate(**ADA)
                await Account.objects.acreate(**BO)
                assert async_connections["other"].in_atomic_block
                assert not async_connections["default"].in_atomic_block
                raise OfNoAccount
        async with block:
            await Account.objects.using("other").acreate(**CY)

    run(steps)
    assert owners("other") == ["Cy"]
    assert owners() == ["Bo"]


def test_of_two_databases_each_has_its_own_transaction(scratch, run):
    async def steps():
        async with async_atomic():
            await Account.objects.acreate(**ADA)
            with suppress(OfNoAccount):
                async with async_atomic("other"):
                    await Account.objects.using("other").acreate(**BO)
                    raise OfNoAccount

    run(steps)
    assert owners() == ["Ada"]
    assert owners("other") == []


# Django's atomic on the bridge, in an async_atomic


def test_methods_that_use_atomic_make_savepoints(play):
    async def steps(orm):
        async with orm.atomic():
            await orm.call(Account.objects, "update_or_create", owner="Ada", defaults=BO)
            await orm.call(Account.objects, "get_or_create", owner="Cy")
            objs = [Account(owner=f"o{i}") for i in range(5)]
            await orm.call(Account.objects, "bulk_create", objs, batch_size=2)
            for i, account in enumerate(objs):
                account.balance = i
            await orm.call(Account.objects, "bulk_update", objs, ["balance"], batch_size=2)
            await orm.call(Account.objects.filter(owner="o1"), "delete")

    play(steps, given=ada)


def test_sync_code_with_transactions_of_its_own(play):
    def transfer(amount):
        with transaction.atomic():
            Account.objects.filter(owner="Ada").update(balance=F("balance") - amount)
            if amount > 1:
                raise OfNoAccount
            with suppress(IntegrityError), transaction.atomic():
                Account.objects.create(**ADA)
            Account.objects.create(**BO)

    async def steps(orm):
        async with orm.atomic():
            await orm.run(lambda: transfer(1))
            with suppress(OfNoAccount):
                await orm.run(lambda: transfer(2))
        with suppress(OfNoAccount):
            await orm.run(lambda: transfer(3))

    play(steps, given=ada)
    assert Account.objects.get(owner="Ada").balance == 0


def test_sync_code_cannot_begin_a_durable_transaction_within_one(play):
    def begin():
        with transaction.atomic(durable=True):
            pass

    async def steps(orm):
        async with orm.atomic():
            await orm.run(begin)

    play(steps, raises=RuntimeError)


# Its name since 6.1.
savepoint_create = getattr(transaction, "savepoint_create", transaction.savepoint)


def test_savepoints_by_hand(play):
    def write():
        Account.objects.create(**ADA)
        savepoint = savepoint_create()
        Account.objects.create(**BO)
        transaction.savepoint_rollback(savepoint)
        savepoint = savepoint_create()
        Account.objects.create(**CY)
        transaction.savepoint_commit(savepoint)
        transaction.clean_savepoints()

    async def steps(orm):
        async with orm.atomic():
            await orm.run(write)

    play(steps)
    assert owners() == ["Ada", "Cy"]


def test_a_rollback_by_hand(play):
    def write():
        Account.objects.create(**ADA)
        transaction.set_rollback(True)
        assert transaction.get_rollback()

    async def steps(orm):
        async with orm.atomic():
            await orm.run(write)

    play(steps)
    assert owners() == []


def test_transactions_by_hand(play):
    def write():
        transaction.set_autocommit(False)
        try:
            Account.objects.create(**ADA)
            transaction.rollback()
            Account.objects.create(**BO)
            transaction.commit()
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)
        assert transaction.get_autocommit()

    async def steps(orm):
        await orm.run(write)

    play(steps)
    assert owners() == ["Bo"]


@pytest.mark.parametrize("function", [transaction.commit, transaction.rollback])
def test_a_block_cannot_be_ended_by_hand(function, play):
    async def steps(orm):
        async with orm.atomic():
            await orm.run(function)

    play(steps, raises=TransactionManagementError)


# async_atomic on the bridge, in Django's atomic


@pytest.mark.parametrize("fails", [True, False])
def test_async_code_with_a_transaction_of_its_own_inside_djangos(fails, scratch, run):
    """As an async receiver has it that is called by a ``save()`` in a transaction."""

    async def write():
        async with async_atomic():
            await Account.objects.acreate(**BO)
            with suppress(OfNoAccount):
                async with async_atomic():
                    await Account.objects.acreate(owner="Di")
                    raise OfNoAccount
            if fails:
                raise OfNoAccount

    async def receive(**kwargs):
        if kwargs["instance"].owner == "Ada":
            with suppress(OfNoAccount):
                await write()

    def function():
        with transaction.atomic():
            Account.objects.create(**ADA)
            with transaction.atomic():
                Account.objects.create(**CY)
            assert connections["default"].in_atomic_block

    async def steps():
        post_save.connect(receive, sender=Account)
        try:
            await bridge.run(function)
        finally:
            post_save.disconnect(receive, sender=Account)
        assert transaction_status() is TransactionStatus.IDLE

    run(steps)
    assert owners() == (["Ada", "Cy"] if fails else ["Ada", "Bo", "Cy"])


def test_djangos_transaction_takes_async_codes_with_it(scratch, run):
    async def write():
        async with async_atomic():
            await Account.objects.acreate(**BO)

    def function():
        with transaction.atomic():
            Account.objects.create(**ADA)
            bridge.await_(write())
            raise OfNoAccount

    with pytest.raises(OfNoAccount):
        run(lambda: bridge.run(function))
    assert owners() == []


# Levels of isolation


@pytest.mark.parametrize("level", IsolationLevel, ids=lambda level: level.name)
def test_levels_of_isolation(level, tables):
    code = """
        from django.db import connection
        from tests.library.models import Account
        from turbo_orm import async_atomic, run_sync

        def shown():
            with connection.cursor() as cursor:
                cursor.execute("SHOW transaction_isolation")
                return cursor.fetchone()[0]

        async def main():
            async with async_atomic():
                found = await run_sync(shown)
                async with async_atomic():
                    return [found, await run_sync(shown)]

        answer(asyncio.run(main()))
    """
    options = {**databases()["default"].get("OPTIONS", {}), "isolation_level": level.value}
    shown = level.name.lower().replace("_", " ")
    assert run_in_project(code, DATABASES=databases(OPTIONS=options)) == [shown, shown]


def test_a_level_of_isolation_that_does_not_exist(tables):
    code = """
        from tests.library.models import Account

        async def main():
            try:
                await Account.objects.acount()
            except Exception as exc:
                return [type(exc).__name__, str(exc)]

        answer(asyncio.run(main()))
    """
    options = {**databases()["default"].get("OPTIONS", {}), "isolation_level": 77}
    name, message = run_in_project(code, DATABASES=databases(OPTIONS=options))
    assert name == "ImproperlyConfigured"
    assert "Invalid transaction isolation level 77" in message


# Errors of the database


ERRORS = {
    "unique": (IntegrityError, psycopg.errors.UniqueViolation),
    "null": (IntegrityError, psycopg.errors.NotNullViolation),
    "foreign key": (IntegrityError, psycopg.errors.ForeignKeyViolation),
    "range": (DataError, psycopg.errors.NumericValueOutOfRange),
    "length": (DataError, psycopg.errors.StringDataRightTruncation),
    "division": (DataError, psycopg.errors.DivisionByZero),
    "no function": (ProgrammingError, psycopg.errors.UndefinedFunction),
    "timeout": (OperationalError, psycopg.errors.QueryCanceled),
}


def with_a_timeout():
    with transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 10")
        list(Account.objects.annotate(x=SLEEP))


QUESTIONS = {
    "unique": lambda orm: orm.call(Account.objects, "create", **ADA),
    "null": lambda orm: orm.call(Account.objects.all(), "update", owner=None),
    "foreign key": lambda orm: orm.call(Entry.objects, "create", account_id=9, amount=1),
    "range": lambda orm: orm.call(Account.objects.all(), "update", balance=F("balance") * 2**31),
    "length": lambda orm: orm.call(Account.objects.all(), "update", owner="x" * 100),
    "division": lambda orm: orm.list(Account.objects.annotate(x=F("balance") / 0)),
    "no function": lambda orm: orm.list(
        Account.objects.annotate(x=Func(function="nope", output_field=CharField()))
    ),
    "timeout": lambda orm: orm.run(with_a_timeout),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_of_the_database_are_djangos_and_keep_the_drivers(case, play):
    error, cause = ERRORS[case]
    caught = []

    async def steps(orm):
        try:
            await QUESTIONS[case](orm)
        except DatabaseError as exc:
            caught.append(exc)
            raise

    play(steps, given=ada, raises=error)
    of_django, ours = caught
    assert type(ours.__cause__) is type(of_django.__cause__) is cause
    assert ours.__cause__.sqlstate == of_django.__cause__.sqlstate
    assert ours.__cause__.diag.message_primary == of_django.__cause__.diag.message_primary


def test_a_connection_that_the_server_has_closed(scratch, run):
    """Django's would be of no use until the end of the request: this one is replaced."""
    ada()

    def terminate():
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    async def steps():
        with pytest.raises(OperationalError):
            await bridge.run(terminate)
        return await Account.objects.acount()

    assert run(steps) == 1
