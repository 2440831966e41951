"""The driver's cursors that Django's sync code sees on the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
from django.db.backends.postgresql.base import CursorMixin
from psycopg.pq import TransactionStatus

from turbo_orm import bridge


class BridgedCursor:
    """The driver's async cursor, with plain methods. What needs no waiting passes through."""

    callproc = CursorMixin.callproc

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

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
            bridge.await_(self._cursor.execute(query, params, **kwargs))
        except BaseException as exc:
            # Django closes a cursor if an Exception is raised. What cancels or abandons is none.
            if not isinstance(exc, Exception):
                self.close()
            raise
        return self

    def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> None:
        bridge.await_(self._cursor.executemany(query, params_seq, **kwargs))

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
        bridge.await_(self._cursor.close())


def close_if_it_exists(cursor: Any) -> None:
    """Have a cursor on the server look whether it is there still, when it is closed.

    It goes with its transaction, or savepoint. To close it after that is an error, which would
    break the next one: a forgotten iterator is closed whenever Python finds it.
    """
    getattr(cursor, "_cursor", cursor)._described = False


class ServerSideCursor(BridgedCursor):
    """A named cursor, which lives on the server: it keeps its connection until it is closed."""

    def __init__(self, cursor: Any, async_connection: Any) -> None:
        super().__init__(cursor)
        self._keeps: Any = async_connection
        async_connection.server_side_cursors += 1

    def close(self) -> None:
        try:
            super().close()
        except asyncio.CancelledError:
            self._close_once_more()
            raise
        finally:
            # What has been closed by an error, the driver holds for open, and complains of when
            # it is collected. This asks no server, and needs no bridge.
            self._cursor._close()
            keeps, self._keeps = self._keeps, None
            if keeps is not None:
                keeps.server_side_cursors -= 1
                # Whoever runs on the bridge, be it another task, gives it back afterwards.
                keeps.use()

    def _close_once_more(self) -> None:
        """Close a cursor that the server may have closed already, while the driver was told off.

        Within a transaction it has, unless the transaction is broken, and takes the cursor along.
        """
        status = self._cursor.connection.info.transaction_status
        if status == TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                super().close()
