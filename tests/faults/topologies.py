"""What is between the soak's tasks and its tables: nothing, a PgBouncer, or a router to a replica.

Each has a database of its own, or servers, which are there for a block.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from atlas.postgres import server_dsn
from tests.support.databases import database

# A replica receives a commit at once, and replays it so much later: a write is not yet there for
# some time, in which it has to be read from the primary.
LATE = "100ms"

_CLIENTS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_OPEN = _CLIENTS + " AND state <> 'idle'"
_TRANSACTIONS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"


@dataclass
class Topology:
    """The databases of a soak, and what else has to hold of them.

    The tasks use "default", and what else is in ``pools``. By "books" Django's sync ORM finds the
    tables directly. ``sessions`` is how many transactions can be open at a time.
    """

    databases: dict[str, dict[str, Any]]
    sessions: int
    pools: tuple[str, ...] = ("default",)
    settings: dict[str, Any] = field(default_factory=dict)
    turbo_orm: dict[str, Any] = field(default_factory=dict)
    #: Called where the tables are filled, before the tasks begin.
    ready: Callable[[], None] = lambda: None
    #: What has to hold when the event loop is closed.
    held: Callable[[], dict[str, bool]] = dict
    #: What is to be told beside that.
    told: Callable[[], dict[str, int]] = dict


@contextmanager
def direct(connections: int) -> Iterator[Topology]:
    """Have a database of one's own on the server of the tests, and nothing in between."""
    with _own_database() as books:
        yield Topology(
            databases={"default": _pooled(books, connections), "books": books},
            sessions=connections,
            held=lambda: {"no connection is left open": _clients(books) == 0},
            told=lambda: {"transactions": _number(books, _TRANSACTIONS)},
        )


@contextmanager
def through_pgbouncer(connections: int) -> Iterator[Topology]:
    """Have a PgBouncer that gives a transaction one of half as many sessions as there are clients.

    A cancellation goes through it, and what is left in a session is found by another client.
    """
    from tests.topology.pgbouncer import pgbouncer, program

    if program() is None:
        raise SystemExit("There is no PgBouncer: make pgbouncer")
    sessions = max(1, connections // 2)
    with _own_database() as books, pgbouncer(books, default_pool_size=sessions) as behind:
        # Django's setting for what has an iterator outside of a transaction fetch all at once.
        behind["DISABLE_SERVER_SIDE_CURSORS"] = True
        yield Topology(
            databases={"default": _pooled(behind, connections), "books": books},
            sessions=sessions,
            held=lambda: {
                "no client is left at PgBouncer": _shown(behind, "CLIENTS") == [],
                "PgBouncer has no more sessions than it may": 0 < _clients(books) <= sessions,
                "each of its sessions is idle": _number(books, _OPEN) == 0,
                "it has given up on none": all(
                    row["state"] == "idle" for row in _shown(behind, "SERVERS")
                ),
            },
            told=lambda: {
                "transactions": _number(books, _TRANSACTIONS),
                "statements": sum(
                    int(row["total_query_count"]) for row in _shown(behind, "STATS")
                ),
            },
        )


@contextmanager
def through_replica(connections: int) -> Iterator[Topology]:
    """Have a primary and a replica that is late, between which a ``ReplicaRouter`` chooses."""
    from tests.support.waiting import wait_until
    from tests.topology.cluster import cluster
    from turbo_orm.backend.handler import ENGINE

    with cluster("primary", "replica") as (primary, replica):
        replica.set("recovery_min_apply_delay", LATE)
        books, copy = (node.database(ENGINE=ENGINE) for node in (primary, replica))

        def ready() -> None:
            ((end,),) = primary.execute("SELECT pg_current_wal_insert_lsn()")
            query = f"SELECT pg_last_wal_replay_lsn() >= '{end}'"
            wait_until(lambda: replica.execute(query) == [(True,)])

        yield Topology(
            databases={
                "default": _pooled(books, connections),
                "replica": _pooled(copy, connections),
                "books": books,
            },
            sessions=connections,
            pools=("default", "replica"),
            settings={"DATABASE_ROUTERS": ["turbo_orm.routers.ReplicaRouter"]},
            turbo_orm={"REPLICAS": {"replica": 1}},
            ready=ready,
            held=lambda: {
                "no connection is left open": _clients(books) == 0,
                "no connection to the replica is left open": _clients(copy) == 0,
            },
            told=lambda: {
                "transactions": _number(books, _TRANSACTIONS),
                "transactions of the replica": _number(copy, _TRANSACTIONS),
            },
        )


TOPOLOGIES = {None: direct, "pgbouncer": through_pgbouncer, "replica": through_replica}


@contextmanager
def _own_database() -> Iterator[dict[str, Any]]:
    dsn = server_dsn("TURBO_ORM_TEST_DSN")
    name = f"turbo_orm_soak_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield database(make_conninfo(dsn, dbname=name))
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


def _pooled(entry: dict[str, Any], connections: int) -> dict[str, Any]:
    pool = {"min_size": 1, "max_size": connections, "timeout": 120}
    return {**entry, "OPTIONS": {**entry["OPTIONS"], "pool": pool}}


def _connect(entry: dict[str, Any], **changes: Any) -> Any:
    parameters = {
        "host": entry.get("HOST"),
        "port": entry.get("PORT"),
        "dbname": entry["NAME"],
        "user": entry.get("USER"),
        "password": entry.get("PASSWORD"),
    }
    return psycopg.connect(**{**parameters, **changes}, autocommit=True)


def _number(entry: dict[str, Any], query: str) -> int:
    """Return what a query finds that names the database. Django's own connections are closed."""
    with _connect(entry) as connection:
        (number,) = connection.execute(query, [entry["NAME"]]).fetchone()
        return int(number)


def _clients(entry: dict[str, Any]) -> int:
    return _number(entry, _CLIENTS)


def _shown(behind: dict[str, Any], what: str) -> list[dict[str, Any]]:
    """Return the rows of a PgBouncer's SHOW that are about the database behind it."""
    with _connect(behind, dbname="pgbouncer") as connection:
        rows = connection.cursor(row_factory=dict_row).execute(f"SHOW {what}").fetchall()
    return [row for row in rows if row["database"] == behind["NAME"]]
