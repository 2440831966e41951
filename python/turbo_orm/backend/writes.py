"""What is noted for routers that read from replicas: writes, and servers that cannot be reached.

A statement on a watched alias that may have written is noted when it has ended, in the *session*
of the running code: that of a request or of a ``causal_session()``, otherwise the process's. What
a transaction has written counts as written when the transaction has ended, which is looked at when
a router asks. Where no router watches an alias, nothing is noted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from threading import RLock
from time import monotonic
from typing import Any
from weakref import ref

from psycopg.pq import TransactionStatus

from turbo_orm.backend.connection_state import BY_HAND, by_hand_hooks
from turbo_orm.backend.task_connections import in_context

#: The aliases whose writes are noted.
watched: set[str] = set()

#: By alias, what is called where a connection could not be opened.
unreachable: dict[str, Callable[[], None]] = {}


_IDLE = TransactionStatus.IDLE
# The connection has ended.
_UNKNOWN = TransactionStatus.UNKNOWN


class Written:
    """What one session has written to one primary, and how far a replica has to be to show it."""

    def __init__(self) -> None:
        # By the monotonic clock, when the last write had ended for certain.
        self.ended_at = 0.0
        # The value of it that ``lsn`` covers.
        self.covered = 0.0
        # What a replica has to have replayed. None where that is not known: read the primary.
        self.lsn: int | None = 0
        # Connections in whose open transactions or blocks something was written.
        self._open: dict[int, ref[Any]] = {}
        # Python may collect one of them while it is held.
        self._lock = RLock()

    def note(self, connection: Any) -> None:
        """Note that a statement that may have written has ended, on a wrapper's connection."""
        with self._lock:
            if connection is not None and is_open(connection):
                self.note_open(connection)
            self.ended_at = monotonic()

    def note_open(self, connection: Any) -> None:
        """Note that something may be written on a connection from now on."""
        key = id(connection)
        with self._lock:
            if key not in self._open:
                self._open[key] = ref(connection, lambda _: self._note_end(key))

    def has_open(self) -> bool:
        """Return whether there are transactions that have written and have not ended."""
        if not self._open:
            return False
        with self._lock:
            for key, reference in [*self._open.items()]:
                connection = reference()
                if connection is None or not is_open(connection):
                    self._note_end(key)
            return bool(self._open)

    def _note_end(self, key: int) -> None:
        """Note that a transaction has ended by now, or its connection was collected."""
        with self._lock:
            self._open.pop(key, None)
            self.ended_at = monotonic()

    def cover(self, asked_at: float, lsn: int) -> bool:
        """Take over the primary's position, if it was asked for after the last write.

        Return whether ``lsn`` covers all that was written.
        """
        with self._lock:
            if self.covered < self.ended_at < asked_at:
                self.covered, self.lsn = self.ended_at, lsn
            return self.covered >= self.ended_at


class Session:
    """A series of reads and writes, each of which sees the writes before it."""

    def __init__(self) -> None:
        self._written: dict[str, Written] = {}
        # The replica that each router has chosen: to go to and fro would show older rows again.
        self.chosen: dict[str, str] = {}

    def written(self, alias: str) -> Written:
        """Return what it has written to a primary."""
        return self._written.setdefault(alias, Written())


#: The session of all code that is in no other one.
of_process = Session()
session: ContextVar[Session] = ContextVar("turbo_orm_session", default=of_process)


def is_open(connection: Any) -> bool:
    """Return whether something on a wrapper's connection may still be uncommitted."""
    if not BY_HAND.isdisjoint(getattr(connection, "pins", ())):
        return True
    driver = connection.connection
    return driver is not None and (
        not connection.autocommit or driver.pgconn.transaction_status not in (_IDLE, _UNKNOWN)
    )


def may_write(sql: Any) -> bool:
    """Return whether a statement may write, as far as its beginning tells.

    A function that is selected may write, too: that has to be noted by ``note_write()``.
    """
    if isinstance(sql, bytes):
        sql = sql.decode("latin-1")
    return not isinstance(sql, str) or sql.lstrip(" \t\r\n(")[:6].upper() != "SELECT"


def note(alias: str, connection: Any = None) -> None:
    """Note a write of the running code to a watched alias, on a wrapper's connection."""
    if connection is None:
        connection = in_context.get().get(alias)
    session.get().written(alias).note(connection)


def note_statement(alias: str, sql: Any, connection: Any = None) -> None:
    """Note a statement that has ended, if it may have written to a watched alias."""
    if alias in watched and may_write(sql):
        note(alias, connection)


def follow(connection: Any) -> None:
    """Note what is executed on a sync connection of Django's, and whether it can be opened."""
    if connection.alias in watched and _noting not in connection.execute_wrappers:
        connection.execute_wrappers.append(_noting)
    if connection.alias in unreachable and "get_new_connection" not in vars(connection):
        connect = connection.get_new_connection

        def telling(*args: Any, **kwargs: Any) -> Any:
            try:
                return connect(*args, **kwargs)
            except connection.Database.OperationalError:
                note_unreachable(connection.alias)
                raise

        connection.get_new_connection = telling


def _noting(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Execute a statement of a sync connection, and note it."""
    connection = context["connection"]
    try:
        return execute(sql, params, many, context)
    finally:
        note_statement(connection.alias, sql, connection)


def _note_by_hand(connection: Any) -> None:
    """Note a write for as long as code may use the driver's connection itself."""
    if connection.alias in watched:
        session.get().written(connection.alias).note_open(connection)


by_hand_hooks.append(_note_by_hand)


def note_unreachable(alias: str) -> None:
    """Note that a connection could not be opened."""
    if alias in unreachable:
        unreachable[alias]()
