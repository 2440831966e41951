"""The connection that sync code sees on the bridge: Django's wrapper, cursors and all."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import ProgrammingError, connection, models, transaction
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext, isolate_apps
from django_async_backend.db import async_connections

from tests.library.models import Account, Entry
from tests.support.clients import Rival
from turbo_orm import bridge


def accounts():
    Account.objects.bulk_create(
        Account(owner=owner, balance=i) for i, owner in enumerate(["Ada", "Bo", "Cy"])
    )


ROWS = "SELECT owner, balance FROM library_account ORDER BY id"


def fetch():
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        description = [column.name for column in cursor.description]
        return description, cursor.rowcount, cursor.fetchone(), cursor.fetchall()


def fetch_many():
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        cursor.arraysize = 2
        return cursor.fetchmany(), cursor.fetchmany(1), cursor.fetchmany(1), cursor.fetchone()


def iterate():
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        return list(cursor)


def scroll():
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        cursor.fetchall()
        cursor.scroll(-2)
        relative = cursor.fetchone()
        cursor.scroll(0, "absolute")
        return relative, cursor.fetchone()


def parameters():
    with connection.cursor() as cursor:
        cursor.execute(ROWS.replace("ORDER", "WHERE owner = %s ORDER"), ["Bo"])
        return cursor.fetchall()


def execute_many():
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO library_account (owner, balance) VALUES (%s, %s)",
            [("Di", 1), ("Eve", 2)],
        )
        return cursor.rowcount


def call_a_procedure():
    with connection.cursor() as cursor:
        cursor.callproc("upper", ["ada"])
        return cursor.fetchone()


def several_results():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1; SELECT 2")
        return cursor.fetchall(), cursor.nextset(), cursor.fetchall(), cursor.nextset()


def fetch_what_is_not_there():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 1000")
        cursor.fetchone()


def chunked_cursor():
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(ROWS)
        return cursor.fetchmany(2), cursor.fetchall()


def sync_iterator():
    return [account.owner for account in Account.objects.order_by("pk").iterator(chunk_size=2)]


def wrapped_execution():
    seen = []

    def wrapper(execute, sql, params, many, context):
        seen.append((sql, params, many, context["connection"].alias))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        found = Account.objects.filter(owner="Ada").aggregate(Sum("balance"))
    Account.objects.count()
    return found, seen


def captured_queries():
    with CaptureQueriesContext(connection) as captured:
        Account.objects.count()
        Account.objects.create(owner="Di")
    return [query["sql"] for query in captured.captured_queries]


def introspection():
    with connection.cursor() as cursor:
        return (
            sorted(connection.introspection.table_names(cursor)),
            connection.introspection.get_table_description(cursor, Account._meta.db_table),
            connection.introspection.get_constraints(cursor, Entry._meta.db_table),
        )


@isolate_apps("tests.library")
def schema_editor():
    class Temporary(models.Model):
        name = models.CharField(max_length=10, db_index=True)

        class Meta:
            app_label = "library"

    with connection.schema_editor() as editor:
        editor.create_model(Temporary)
    Temporary.objects.create(name="x")
    found = list(Temporary.objects.values_list("name", flat=True))
    with connection.schema_editor() as editor:
        editor.delete_model(Temporary)
    return found


def constraint_checks():
    with transaction.atomic():
        Entry.objects.create(account_id=1, amount=1)
        connection.check_constraints()
        with connection.constraint_checks_disabled():
            Entry.objects.create(account_id=2, amount=1)


def facts():
    connection.ensure_connection()
    return (
        connection.vendor,
        connection.pg_version,
        connection.get_database_version(),
        connection.is_usable(),
        connection.get_autocommit(),
        str(connection.timezone),
        connection.timezone_name,
        connection.features.can_return_rows_from_bulk_insert,
        connection.settings_dict["NAME"],
    )


def compose():
    return connection.ops.compose_sql("SELECT %s, %s", [1, "it's"])


def closed_and_opened_again():
    connection.close()
    assert not connection.is_usable()
    return Account.objects.count()


def a_copy():
    """It has a connection of its own, which sees nothing of the transaction."""
    other = connection.copy()
    try:
        with transaction.atomic():
            Account.objects.create(owner="Di")
            with other.cursor() as cursor:
                cursor.execute(ROWS)
                return cursor.fetchall(), other.alias, other.in_atomic_block
    finally:
        other.close()


def without_a_database():
    with transaction.atomic(), connection._nodb_cursor() as cursor:
        cursor.execute("SELECT current_database()")
        return cursor.fetchone(), cursor.db.in_atomic_block


def content_types():
    ContentType.objects.clear_cache()
    return ContentType.objects.get_for_model(Account).model


FUNCTIONS = [
    a_copy,
    call_a_procedure,
    captured_queries,
    chunked_cursor,
    closed_and_opened_again,
    compose,
    constraint_checks,
    content_types,
    execute_many,
    facts,
    fetch,
    fetch_many,
    introspection,
    iterate,
    parameters,
    schema_editor,
    scroll,
    several_results,
    sync_iterator,
    without_a_database,
    wrapped_execution,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_sync_code_on_the_bridge_does_what_it_does_elsewhere(function, play):
    async def steps(orm):
        return await orm.run(function)

    play(steps, given=accounts)


def test_errors_of_a_cursor(play):
    async def steps(orm):
        await orm.run(fetch_what_is_not_there)

    play(steps, raises=ProgrammingError)


def test_health_checks_replace_a_connection_that_has_died(run, monkeypatch, scratch):
    monkeypatch.setitem(connection.settings_dict, "CONN_HEALTH_CHECKS", True)

    def new_request():
        connection.close_if_unusable_or_obsolete()

    def terminate():
        rival.terminate(connection.connection.info.backend_pid)

    async def steps():
        wrapper = async_connections["default"]
        monkeypatch.setitem(wrapper.settings_dict, "CONN_HEALTH_CHECKS", True)
        monkeypatch.setitem(wrapper.settings_dict, "CONN_MAX_AGE", None)
        assert await Account.objects.acount() == 0
        first = wrapper.connection
        await bridge.run(new_request)
        await bridge.run(terminate)
        assert await Account.objects.acount() == 0
        assert wrapper.connection is not first

    with Rival() as rival:
        run(steps)
