"""The driver's cursors that Django's sync code sees on the bridge."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial, wraps
from typing import Any

import psycopg
from django.db.backends.postgresql.base import CursorMixin
from psycopg import sql
from psycopg.pq import TransactionStatus

from turbo_orm import bridge
from turbo_orm.backend import writes

# Of sqlstate 0A000, which the server gives other errors, too.
_PLAN_IS_STALE = "cached plan must not change result type"
# What changes the session, and not only the transaction.
_SETS = re.compile(r"\s*SET\s+(?!(LOCAL|TRANSACTION|CONSTRAINTS)\b)", re.IGNORECASE)
# What the server says of the commands after which nothing is prepared any more.
_DEALLOCATED = frozenset({"DEALLOCATE ALL", "DISCARD ALL"})


class BridgedCursor:
    """The driver's async cursor with plain methods. Other attributes are the driver's."""

    callproc = CursorMixin.callproc

    def __init__(self, cursor: Any, async_connection: Any = None) -> None:
        self._cursor = cursor
        self.async_connection = async_connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __enter__(self) -> BridgedCursor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        while rows := self.fetchmany(self._cursor.arraysize):
            yield from rows

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> BridgedCursor:
        try:
            self._execute(query, params, **kwargs)
        except BaseException as exc:
            # Django closes a cursor if an Exception is raised. CancelledError and GeneratorExit
            # are none.
            if not isinstance(exc, Exception):
                self.close()
            raise
        finally:
            self._note(query)
        return self

    def _execute(self, query: Any, params: Any, **kwargs: Any) -> None:
        self._require_connection()
        self._keep_session(query)
        try:
            self._in_turn(partial(self._cursor.execute, query, params, **kwargs))
        except psycopg.errors.FeatureNotSupported as exc:
            if not self._deallocates(exc):
                raise
            self._in_turn(partial(self._cursor.execute, query, params, **kwargs))
        if self._cursor.statusmessage in _DEALLOCATED:
            self._forget_prepared()

    def _keep_session(self, query: Any) -> None:
        """Have no other task get a session that ``SET`` changes, unless each cursor sets it.

        That is seen before it is executed: it may be, though the task is cancelled.
        """
        owner = self.async_connection
        if owner is None or owner.has_own_cursor:
            return
        text = query.as_string() if isinstance(query, sql.Composable) else query
        text = text if isinstance(text, str) else bytes(text).decode(errors="replace")
        if _SETS.match(text):
            owner.keep_session()

    def _note(self, query: Any) -> None:
        if writes.watched and self.async_connection is not None:
            writes.note_statement(self.async_connection.alias, query, self.async_connection)

    def _in_turn(self, function: Callable[[], Any]) -> Any:
        """Await what executes a statement. In a block of ``async_pipeline()``, in its turn."""
        owner = self.async_connection
        block = None if owner is None else owner.pipeline
        return bridge.await_(function() if block is None else block.in_turn(function))

    def _forget_prepared(self) -> None:
        prepared = getattr(self._cursor.connection, "prepared", None)
        if prepared is not None:
            prepared.forget()

    def _require_connection(self) -> None:
        """Raise if the connection has gone back to the pool since: another task may have it.

        In a ``lazy_loading`` function, which gives it back wherever it awaits, be a cursor of the
        connection that the task has then.
        """
        owner = self.async_connection
        if owner is None:
            return
        is_lazy = bridge.is_lazy()
        if is_lazy:
            owner.acquire_on_bridge()
        # By the connection below, since a tool may have either of the two wrapped.
        driver = owner.connection
        if driver is not None and driver.pgconn is self._cursor.connection.pgconn:
            return
        if is_lazy and not owner.pins:
            bridge.await_(owner.ensure_connection())
            self._cursor = owner.create_cursor()
            return
        raise psycopg.InterfaceError(
            "The connection of this cursor was given back: a cursor is for the call on the "
            "bridge that opens it, or for a transaction or an async_connection() block."
        )

    def _deallocates(self, exc: psycopg.Error) -> bool:
        """Return whether a statement that has failed is to be executed again, prepared anew.

        A prepared statement fails for ever once the types of its columns have changed. Within a
        transaction it is psycopg that deallocates, at the ROLLBACK.
        """
        driver = self._cursor.connection
        if (
            exc.diag.message_primary != _PLAN_IS_STALE
            or driver.info.transaction_status != TransactionStatus.IDLE
        ):
            return False
        # psycopg before 3.3 does not read from the command that they are gone.
        driver._prepared.clear()
        bridge.await_(driver.execute("DEALLOCATE ALL", prepare=False))
        self._forget_prepared()
        return True

    def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> None:
        self._require_connection()
        try:
            self._in_turn(partial(self._cursor.executemany, query, params_seq, **kwargs))
        finally:
            self._note(query)

    def fetchone(self) -> Any:
        return bridge.await_(self._cursor.fetchone())

    def fetchmany(self, size: int = 0) -> list[Any]:
        rows: list[Any] = bridge.await_(self._cursor.fetchmany(size))
        return rows

    def fetchall(self) -> list[Any]:
        rows: list[Any] = bridge.await_(self._cursor.fetchall())
        return rows

    def scroll(self, value: int, mode: str = "relative") -> None:
        bridge.await_(self._cursor.scroll(value, mode))

    def sibling(self) -> BridgedCursor:
        """Return another cursor on the same connection."""
        return BridgedCursor(self._cursor.connection.cursor())

    def close(self) -> None:
        """Close the cursor. Nothing is sent where Python collects it, outside of the bridge."""
        if bridge.active():
            bridge.await_(self._cursor.close())
        else:
            self._cursor._close()


def close_if_it_exists(cursor: Any) -> None:
    """Have a server-side cursor check that it exists before it is closed.

    It ends with its transaction or savepoint. Closing it after that would be an error, which
    aborts the next transaction: an abandoned iterator is closed when Python collects it.
    """
    getattr(cursor, "_cursor", cursor)._described = False


def _acquiring[**P, R](method: Callable[P, R]) -> Callable[P, R]:
    """Return a method of a cursor that acquires the cursor's connection for the call."""

    @wraps(method)
    def acquiring(*args: P.args, **kwargs: P.kwargs) -> R:
        cursor: Any = args[0]
        cursor.async_connection.acquire_on_bridge()
        return method(*args, **kwargs)

    return acquiring


class ServerSideCursor(BridgedCursor):
    """A named cursor, which lives on the server: its connection is kept until it is closed."""

    fetchone = _acquiring(BridgedCursor.fetchone)
    fetchmany = _acquiring(BridgedCursor.fetchmany)
    fetchall = _acquiring(BridgedCursor.fetchall)
    scroll = _acquiring(BridgedCursor.scroll)
    sibling = _acquiring(BridgedCursor.sibling)

    def __init__(self, cursor: Any, async_connection: Any) -> None:
        super().__init__(cursor, async_connection)
        self._is_open = True
        async_connection.keep_for_cursor()

    @_acquiring
    def declare(self, statement: bytes, size: int) -> Any:
        """Declare the cursor for a statement with literals, and return its first rows.

        That is one message, where psycopg sends three. Those rows are a ``PGresult``.
        """
        cursor = self._cursor
        driver = cursor.connection
        name = sql.Identifier(cursor.name).as_bytes(driver)
        scrolls = {None: b"", True: b"SCROLL ", False: b"NO SCROLL "}[cursor.scrollable]
        withhold = b"WITH HOLD " if cursor.withhold else b""
        declaration = b"DECLARE %b %bCURSOR %bFOR %b" % (name, scrolls, withhold, statement)
        fetch = b";FETCH FORWARD %d FROM %b" % (size, name)
        results = self._in_turn(partial(driver.exchange_in_turn, declaration + fetch))
        cursor._check_results(results)
        # It exists, as psycopg's own knows from a description.
        cursor._described = True
        return results[-1]

    def close(self) -> None:
        try:
            super().close()
        except asyncio.CancelledError:
            self._close_once_more()
            raise
        finally:
            # After an error the driver takes the cursor for open, and warns of it when it is
            # collected. This sends nothing, and needs no bridge.
            self._cursor._close()
            if self._is_open:
                self._is_open = False
                self.async_connection.release_cursor()

    def _close_once_more(self) -> None:
        """Close a cursor that the server may have closed already, while the driver was cancelled.

        Within a transaction it has, unless the transaction is aborted, which closes the cursor.
        """
        status = self._cursor.connection.info.transaction_status
        if status == TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                super().close()
