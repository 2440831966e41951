"""A cluster under Django's aliases, with a router over it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from tests.faults.aliases import known_as
from tests.library.models import Account, Entry
from tests.support.routers import routed
from tests.support.waiting import wait_until
from tests.topology.cluster import Node
from turbo_orm.backend import writes
from turbo_orm.backend.handler import ENGINE
from turbo_orm.routers import ReplicaRouter, note_write
from turbo_orm.routers.positions import Positions

PRIMARY = "main"
REPLICAS = {"one", "two"}


class Router(ReplicaRouter):
    primary = PRIMARY
    replicas = {"one": 3, "two": 1}
    down_seconds = 0.5


class Sites:
    """The servers of a cluster, and the router that chooses among them."""

    def __init__(self, nodes: list[Node], router: ReplicaRouter) -> None:
        self.primary, *self.replicas = nodes
        self.router = router
        self.positions: Positions = router.positions

    def choice(self) -> str:
        """Return which database the router has a read go to."""
        return self.router.db_for_read(Account)

    def pause(self, *replicas: Node) -> None:
        """Have replicas receive the log, and not replay it."""
        for replica in replicas or self.replicas:
            replica.execute("SELECT pg_wal_replay_pause()")
            wait_until(
                lambda node=replica: (
                    node.execute("SELECT pg_get_wal_replay_pause_state()") == [("paused",)]
                )
            )

    def resume(self) -> None:
        """Have all replicas replay the log."""
        for replica in self.replicas:
            replica.execute("SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Wait until all replicas have replayed what there is."""
        ((position,),) = self.primary.execute("SELECT pg_current_wal_insert_lsn()")
        query = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
        for replica in self.replicas:
            wait_until(lambda node=replica: node.execute(query) == [(True,)])

    def knows_since(self, moment: float) -> bool:
        """Return whether the watch has asked all servers since a moment."""
        known = self.positions._known
        aliases = {PRIMARY, *self.router.weights} - {*self.positions._down_until}
        return all(alias in known and known[alias].asked_at > moment for alias in aliases)

    def knows_of_all_since(self, moment: float) -> bool:
        """Return whether the watch has found since a moment that no replica is behind."""
        primary = self.positions.of_primary()
        return self.knows_since(moment) and all(
            self.positions.has_replayed(alias, primary.lsn) for alias in self.router.weights
        )


def make_tables(primary: Node) -> None:
    """Make the tables of accounts and entries, and a function that writes."""
    with known_as("made", primary.database()), connections["made"].schema_editor() as editor:
        editor.create_model(Account)
        editor.create_model(Entry)
    primary.execute(
        "CREATE FUNCTION set_balance() RETURNS void LANGUAGE sql AS "
        "'UPDATE library_account SET balance = 7'"
    )


@contextmanager
def sites(nodes: list[Node], make_router: Callable[[], ReplicaRouter] = Router) -> Iterator[Sites]:
    """Have a cluster under the aliases of a router, with our engine and its pools."""
    aliases = [PRIMARY, "one", "two"]
    known = [
        known_as(alias, node.database(ENGINE=ENGINE))
        for alias, node in zip(aliases, nodes, strict=True)
    ]
    with known[0], known[1], known[2]:
        router = make_router()
        found: Any = Sites(nodes, router)
        try:
            with routed(router):
                yield found
        finally:
            router.positions._used_at = 0.0
            writes.watched.clear()
            writes.unreachable.clear()
            writes.of_process.__init__()  # type: ignore[misc]


def select_what_writes() -> None:
    """Call a function that writes, and say so."""
    with connections[PRIMARY].cursor() as cursor:
        cursor.execute("SELECT set_balance()")
    note_write(PRIMARY)
