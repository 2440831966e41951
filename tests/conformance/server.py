"""The PostgreSQL that Django's tests run on.

They need collations of ICU and the extensions of contrib, some of which the embedded server does
not have. So it is one that is installed, started in a temporary directory, or, by
``TURBO_ORM_TEST_DSN``, one that runs. GeoDjango's run on the one that ``make postgis`` unpacks.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from atlas.postgres import server_dsn
from tests.support import postgis
from tests.support.temporary_server import temporary_server

VARIABLE = "TURBO_ORM_TEST_DSN"

# What is used by one test or another, and not by all servers had.
_EXTENSIONS = {"btree_gin", "btree_gist", "citext", "hstore", "pg_trgm", "pgcrypto", "unaccent"}
_COLLATION = "sv-x-icu"


@contextmanager
def server(is_gis: bool = False) -> Iterator[str]:
    """Yield the DSN of a server: the one that is named, or one that runs for the block."""
    if is_gis:
        if not postgis.is_there():
            raise SystemExit("There is no PostGIS: make postgis")
        with postgis.postgis_server() as dsn:
            yield dsn
        return
    binaries = _binaries()
    if VARIABLE in os.environ or binaries is None:
        yield server_dsn(VARIABLE)
        return
    with temporary_server(binaries) as dsn:
        yield dsn


def _binaries() -> Path | None:
    """Return where the newest PostgreSQL that is installed has its programs."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3])
    )
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(on_path).parent if on_path else None


def lacks(dsn: str) -> list[str]:
    """Say what a server does not have that some of the tests need."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT name FROM pg_available_extensions").fetchall()
        collation = connection.execute(
            "SELECT 1 FROM pg_collation WHERE collname = %s", [_COLLATION]
        ).fetchone()
    missing = sorted(_EXTENSIONS - {name for (name,) in rows})
    return missing + ([] if collation else [f"the collation {_COLLATION}"])
