"""The guards that are active in every async test: each of them stops what it is there for."""

import asyncio

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.db import connections

from tests.library.data import WRITTEN
from tests.library.models import Account, Mentoring
from tests.support.answers import fingerprint


@pytest.fixture
def dsn(driver):
    return driver.info.dsn


def test_a_thread_is_an_error(run):
    with pytest.raises(AssertionError, match="thread pool"):
        run(lambda: asyncio.to_thread(print))


def test_sync_to_async_is_an_error(run):
    with pytest.raises(AssertionError, match=r"sync_to_async"):
        run(lambda: sync_to_async(print)())


def test_a_thread_hop_of_djangos_is_an_error(run):
    """As its own async methods make it, where nothing has bridged them."""

    async def hop():
        await Mentoring(pk=1).adelete()

    with pytest.raises(AssertionError, match=r"sync_to_async"):
        run(hop)


@pytest.mark.parametrize("connect", [psycopg.connect, psycopg.Connection.connect])
def test_a_sync_connection_is_an_error(connect, run, dsn):
    async def open_connection():
        owner = psycopg if connect is psycopg.connect else psycopg.Connection
        owner.connect(dsn)

    with pytest.raises(AssertionError, match="a sync connection was opened"):
        run(open_connection)


def test_a_sync_cursor_is_an_error(run, driver):
    async def execute():
        driver.cursor().execute("SELECT 1")

    with pytest.raises(AssertionError, match="a sync cursor was used"):
        run(execute)


def test_they_are_gone_afterwards(run, tables):
    async def nothing():
        pass

    run(nothing)
    connections["default"].close()
    assert Account.objects.filter(pk=-1).count() == 0


def test_no_other_table_refers_to_those_that_are_emptied():
    """One would be emptied along with some of them, only when these have been written to."""
    tables = {model._meta.db_table for model in WRITTEN}
    others = {
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_concrete_fields
        if field.is_relation and field.related_model._meta.db_table in tables
    }
    assert others <= tables


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ((1,), [1]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Account(pk=1), Account(pk=1, owner="Ada")),
    ],
    ids=repr,
)
def test_fingerprints_tell_apart_what_equality_does_not(one, other):
    assert fingerprint(one) == fingerprint(one)
    assert fingerprint(one) != fingerprint(other)
