"""A server with PostGIS, whose databases have the tables of the app ``places``."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support import postgis


@pytest.fixture(scope="session")
def databases() -> Iterator[dict[str, Any]]:
    """Have a server with two databases, in one of which are the tables."""
    import atlas.postgres
    from tests.geodjango.project import run_in_gis

    if not postgis.is_there():
        pytest.skip("There is no PostGIS: make postgis")
    with postgis.postgis_server() as dsn:
        found = {}
        for alias in ("default", "other"):
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {alias}_places")
            entry = make_conninfo(dsn, dbname=f"{alias}_places")
            found[alias] = atlas.postgres.database(entry, ENGINE=postgis.ENGINE)
        run_in_gis(
            """
            from django.core.management import call_command
            with connection.cursor() as cursor:
                cursor.execute("CREATE EXTENSION postgis; CREATE EXTENSION postgis_raster")
            call_command("migrate", "places", run_syncdb=True, verbosity=0)
            answer(None)
            """,
            found,
        )
        yield found


@pytest.fixture
def gis(databases: dict[str, Any]) -> Any:
    """Return a function that runs code in a project, and returns what it answers."""
    from tests.geodjango.project import run_in_gis

    def run(code: str, **changes: Any) -> Any:
        return run_in_gis(code, databases, **changes)

    return run
