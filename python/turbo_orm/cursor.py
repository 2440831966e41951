"""The driver's cursor that Django's sync code sees on the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from django.db.backends.postgresql.base import CursorMixin


class BridgedCursor:
    """The driver's async cursor, with plain methods. What needs no waiting passes through."""

    callproc = CursorMixin.callproc

    def __init__(self, cursor: Any, await_: Callable[[Awaitable[Any]], Any]) -> None:
        self._cursor = cursor
        self._await = await_

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
            self._await(self._cursor.execute(query, params, **kwargs))
        except asyncio.CancelledError:
            # Django closes a cursor if an Exception is raised, which this is not.
            self.close()
            raise
        return self

    def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> None:
        self._await(self._cursor.executemany(query, params_seq, **kwargs))

    def fetchone(self) -> Any:
        return self._await(self._cursor.fetchone())

    def fetchmany(self, size: int = 0) -> list[Any]:
        rows: list[Any] = self._await(self._cursor.fetchmany(size))
        return rows

    def fetchall(self) -> list[Any]:
        rows: list[Any] = self._await(self._cursor.fetchall())
        return rows

    def scroll(self, value: int, mode: str = "relative") -> None:
        self._await(self._cursor.scroll(value, mode))

    def sibling(self) -> BridgedCursor:
        """Return another cursor on the same connection."""
        return BridgedCursor(self._cursor.connection.cursor(), self._await)

    def close(self) -> None:
        self._await(self._cursor.close())
