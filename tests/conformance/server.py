"""The PostgreSQL that Django's tests run on.

They need collations of ICU and the extensions of contrib, some of which the embedded server does
not have. So it is one that is installed, started in a temporary directory, or, by
``TURBO_ORM_TEST_DSN``, one that runs.
"""

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from atlas.postgres import server_dsn

VARIABLE = "TURBO_ORM_TEST_DSN"

# What is used by one test or another, and not by all servers had.
_EXTENSIONS = {"btree_gin", "btree_gist", "citext", "hstore", "pg_trgm", "pgcrypto", "unaccent"}
_COLLATION = "sv-x-icu"

# Nothing in it outlives the process: durability would only cost time.
_OPTIONS = (
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 "
    "-c listen_addresses='' -c unix_socket_directories="
)


@contextmanager
def server() -> Iterator[str]:
    """Yield the DSN of a server: the one that is named, or one that runs for the block."""
    binaries = _binaries()
    if VARIABLE in os.environ or binaries is None:
        yield server_dsn(VARIABLE)
        return
    with tempfile.TemporaryDirectory(prefix="turbo-orm-conformance-") as directory:
        # PostgreSQL refuses to run as root.
        user = "postgres" if getpass.getuser() == "root" else None
        if user:
            shutil.chown(directory, user)
        data, log = Path(directory) / "data", Path(directory) / "log"

        def run(*command: str | Path) -> None:
            done = subprocess.run(
                command, user=user, cwd=directory, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

        run(binaries / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--no-sync")
        control = [binaries / "pg_ctl", "-D", data, "-l", log, "-w"]
        run(*control, "-o", f"{_OPTIONS}{directory}", "start")
        try:
            yield make_conninfo(host=directory, user="postgres", dbname="postgres")
        finally:
            run(*control, "-m", "immediate", "stop")


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
