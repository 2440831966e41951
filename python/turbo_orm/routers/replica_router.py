"""A router that has a primary written, and replicas read: Django's router API."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from random import choices
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from turbo_orm import bridge, conf
from turbo_orm.backend import sync_connections, task_connections, writes
from turbo_orm.backend.handler import may_block_event_loop
from turbo_orm.backend.writes import Session, Written
from turbo_orm.bridge import installation
from turbo_orm.routers.positions import Positions


class ReplicaRouter:
    """Reads from replicas by weight, and writes to the primary.

    A read is sent to the primary if the running code is in a transaction there, or if no replica
    is known to have what its session has written. The replicas are those in
    ``TURBO_ORM["REPLICAS"]``; a subclass can name other ones, and another primary.
    """

    #: The alias of the primary.
    primary = DEFAULT_DB_ALIAS
    #: The aliases of the replicas with their weights. ``None`` has the settings say it.
    replicas: Mapping[str, int] | None = None
    #: For how many seconds a replica that cannot be reached is left out, at least.
    down_seconds = 10.0

    def __init__(self) -> None:
        weights = conf.get("REPLICAS") if self.replicas is None else self.replicas
        self.weights: dict[str, int] = dict(weights)
        self.positions = Positions(self.primary, self.weights, self.down_seconds)
        if self.weights:
            self._watch_connections()

    def _watch_connections(self) -> None:
        """Have writes to the primary noted, and replicas that cannot be reached."""
        writes.watched.add(self.primary)
        for alias in self.weights:
            writes.unreachable[alias] = partial(self.positions.note_down, alias)
        if sync_connections.are_used():
            # Those of other threads are followed from their next read on.
            for connection in connections.all(initialized_only=True):
                writes.follow(connection)

    def db_for_read(self, model: Any, **hints: Any) -> str:
        """Return the alias of a replica that may be read, or of the primary."""
        if not self.weights:
            return self.primary
        session = writes.session.get()
        written = session.written(self.primary)
        if self._is_in_transaction():
            return self.primary
        candidates = [] if written.has_open() else self._candidates(written)
        self.positions.use(soon=not candidates)
        return self._choose(session, candidates) if candidates else self.primary

    def db_for_write(self, model: Any, **hints: Any) -> str:
        """Return the alias of the primary."""
        return self.primary

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool | None:
        """Allow relations among the primary and its replicas, which are one database."""
        ours = {self.primary, *self.weights}
        return True if {one._state.db, other._state.db} <= ours else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Refuse migrations of replicas, which replicate those of the primary."""
        return False if db in self.weights else None

    def _is_in_transaction(self) -> bool:
        """Return whether the running code is in a transaction of the primary, or may be."""
        if sync_connections.are_used() or (may_block_event_loop() and not bridge.active()):
            connection: Any = connections[self.primary]
            writes.follow(connection)
            return writes.is_open(connection) or connection.in_atomic_block
        if not installation.is_installed or bridge.in_calling_thread.get() is not None:
            return True
        connection = task_connections.in_context.get().get(self.primary)
        return task_connections.is_in_transaction(self.primary) or (
            connection is not None and writes.is_open(connection)
        )

    def _candidates(self, written: Written) -> list[str]:
        """Return the replicas that are up and have what was written."""
        positions = self.positions
        up = [alias for alias in self.weights if positions.is_up(alias)]
        if written.lsn == 0 and not written.ended_at:
            return up
        primary = positions.of_primary()
        is_covered = written.covered >= written.ended_at or (
            primary is not None
            and primary.lsn is not None
            and written.cover(primary.asked_at, primary.lsn)
        )
        if not is_covered or written.lsn is None:
            return []
        return [alias for alias in up if positions.has_replayed(alias, written.lsn)]

    def _choose(self, session: Session, candidates: list[str]) -> str:
        """Choose one by weight. A request's session stays with its choice while it can."""
        chosen = session.chosen.get(self.primary)
        if chosen not in candidates:
            (chosen,) = choices(candidates, [self.weights[alias] for alias in candidates])
            if session is not writes.of_process:
                session.chosen[self.primary] = chosen
        return chosen
