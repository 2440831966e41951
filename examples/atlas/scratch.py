"""A schema of the tour's own, so that it touches nothing else in the database it is given."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from atlas.postgres import database


@dataclass(frozen=True)
class Scratch:
    """A ``DATABASES`` entry that sees the scratch schema alone, and the server's version."""

    database: dict[str, Any]
    server_version: str


@contextmanager
def scratch_schema(dsn: str) -> Iterator[Scratch]:
    """Create a schema in the DSN's database, and drop it with all that is in it at the end."""
    schema = f"atlas_{secrets.token_hex(4)}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        try:
            yield Scratch(_seeing_only(schema, dsn), _version(connection))
        finally:
            statement = sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema))
            connection.execute(statement)


def _seeing_only(schema: str, dsn: str) -> dict[str, Any]:
    entry = database(dsn)
    given = entry["OPTIONS"].get("options", "")
    entry["OPTIONS"]["options"] = f"{given} -c search_path={schema}".strip()
    return entry


def _version(connection: psycopg.Connection[Any]) -> str:
    version = connection.info.parameter_status("server_version")
    return version or str(connection.info.server_version)
