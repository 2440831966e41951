"""Transactions: ``async_atomic`` against Django's ``atomic``, and together with it."""

import logging
from contextlib import suppress
from functools import partial

import django
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


# on_commit()


class Hooks:
    """Receivers of post_save that register what is to run after the commit."""

    def __init__(self, told, **options):
        self.told = told
        self.options = options

    def __enter__(self):
        post_save.connect(self.register, sender=Account)

    def __exit__(self, *exc_info):
        post_save.disconnect(self.register, sender=Account)

    def register(self, instance, **kwargs):
        def hook():
            self.told.append((instance.owner, Account.objects.count()))

        transaction.on_commit(hook, **self.options)


def test_a_hook_runs_after_the_outermost_commit(play):
    async def steps(orm):
        told = []
        with Hooks(told):
            async with orm.atomic():
                async with orm.atomic():
                    await orm.call(Account.objects, "create", **ADA)
                await orm.call(Account.objects, "create", **BO)
                before = list(told)
        return before, told

    answer = play(steps)
    commit = answer["statements"].index("COMMIT")
    assert sum("COUNT" in statement for statement in answer["statements"][commit:]) == 2
    assert sum("COUNT" in statement for statement in answer["statements"][:commit]) == 0


def test_a_hook_does_not_run_after_a_rollback(play):
    async def steps(orm):
        told = []
        with Hooks(told):
            with suppress(OfNoAccount):
                async with orm.atomic():
                    await orm.call(Account.objects, "create", **ADA)
                    raise OfNoAccount
            await orm.call(Account.objects, "create", **BO)
        return told

    assert len(play(steps)["returned"][2]) == 1


def test_the_hooks_of_a_rolled_back_savepoint_do_not_run(play):
    async def steps(orm):
        told = []
        with Hooks(told):
            async with orm.atomic():
                await orm.call(Account.objects, "create", **ADA)
                with suppress(OfNoAccount):
                    async with orm.atomic():
                        await orm.call(Account.objects, "create", **BO)
                        raise OfNoAccount
                await orm.call(Account.objects, "create", **CY)
        return told

    assert len(play(steps)["returned"][2]) == 2


def test_outside_of_a_transaction_a_hook_runs_at_once(play):
    async def steps(orm):
        told = []
        with Hooks(told):
            await orm.call(Account.objects, "create", **ADA)
            return list(told)

    assert len(play(steps)["returned"][2]) == 1


def test_a_hook_in_a_transaction_of_sync_code(play):
    def write():
        with transaction.atomic():
            Account.objects.create(**ADA)

    async def steps(orm):
        told = []
        with Hooks(told):
            await orm.run(write)
        return told

    assert len(play(steps)["returned"][2]) == 1


def test_a_hook_may_write_and_register_another(play):
    told = []

    def second():
        told.append(Account.objects.count())

    def first():
        with transaction.atomic():
            Account.objects.create(**BO)
            transaction.on_commit(second)
            told.append("not yet")

    async def steps(orm):
        told.clear()
        async with orm.atomic():
            await orm.run(lambda: transaction.on_commit(first))
        return list(told)

    play(steps)
    assert told == ["not yet", 1]


def test_a_hook_that_raises_does_so_after_the_commit(play):
    def fail():
        raise OfNoAccount("too late")

    async def steps(orm):
        async with orm.atomic():
            await orm.call(Account.objects, "create", **ADA)
            await orm.run(lambda: transaction.on_commit(fail))
            await orm.run(lambda: transaction.on_commit(lambda: pytest.fail("not reached")))

    play(steps, raises=OfNoAccount)
    assert owners() == ["Ada"]


def fail():
    raise OfNoAccount("too late")


# Django 5.2 knows no name for what has none.
@pytest.mark.parametrize("hook", [fail, partial(fail)] if django.VERSION >= (6,) else [fail])
def test_a_robust_hook_that_raises_is_logged_and_the_next_runs(hook, play, caplog):
    async def steps(orm):
        told = []
        with Hooks(told, robust=True):
            async with orm.atomic():
                await orm.run(lambda: transaction.on_commit(hook, robust=True))
                await orm.call(Account.objects, "create", **ADA)
        return told

    with caplog.at_level(logging.ERROR):
        assert len(play(steps)["returned"][2]) == 1
    of_django, ours = caplog.records
    assert ours.getMessage() == of_django.getMessage()
    assert ours.exc_info[0] is OfNoAccount


def test_a_hook_has_to_be_callable(play):
    async def steps(orm):
        await orm.run(lambda: transaction.on_commit("not callable"))

    play(steps, raises=TypeError)


def test_an_async_hook_is_awaited(scratch, run):
    told = []

    async def hook():
        told.append(await Account.objects.acount())

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(**ADA)
            await bridge.run(lambda: transaction.on_commit(hook))
            assert told == []

    run(steps)
    assert told == [1]


# on_commit() in a coroutine


def test_a_coroutine_registers_what_is_to_run_after_the_commit(scratch, run):
    told = []

    async def hook():
        told.append(await Account.objects.acount())

    def sync_hook():
        told.append(Account.objects.count())

    async def steps():
        async with async_atomic():
            await Account.objects.acreate(**ADA)
            transaction.on_commit(hook)
            transaction.on_commit(sync_hook)
            with suppress(OfNoAccount):
                async with async_atomic():
                    transaction.on_commit(lambda: told.append("rolled back"))
                    raise OfNoAccount
            assert told == []
        assert told == [1, 1]
        with suppress(OfNoAccount):
            async with async_atomic():
                transaction.on_commit(hook)
                raise OfNoAccount

    run(steps)
    assert told == [1, 1]


def test_of_several_databases_each_has_its_hooks(scratch, run):
    told = []

    async def steps():
        async with async_atomic():
            async with async_atomic("other"):
                transaction.on_commit(lambda: told.append("default"))
                transaction.on_commit(lambda: told.append("other"), using="other")
            assert told == ["other"]

    run(steps)
    assert told == ["other", "default"]


def test_a_robust_hook_of_a_coroutine(scratch, run, caplog):
    told = []

    async def fail():
        raise OfNoAccount

    async def steps():
        async with async_atomic():
            transaction.on_commit(fail, robust=True)
            transaction.on_commit(lambda: told.append(1))

    run(steps)
    assert told == [1]
    assert "OfNoAccount" in caplog.text


def test_outside_of_a_transaction_a_coroutine_has_it_called_at_once(scratch, run):
    told = []

    async def hook():
        """Never awaited."""

    async def steps():
        transaction.on_commit(lambda: told.append(1))
        assert told == [1]
        with pytest.raises(RuntimeError, match=r"await it.*async_atomic\('default'\)"):
            transaction.on_commit(hook)
        with pytest.raises(OfNoAccount):
            transaction.on_commit(raise_of_no_account)
        transaction.on_commit(raise_of_no_account, robust=True)
        with pytest.raises(TypeError, match="callable"):
            transaction.on_commit("not callable")

    run(steps)


def raise_of_no_account():
    raise OfNoAccount


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
