"""The driver's cursor that Django's sync code sees on the bridge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.backends.postgresql.base import CursorMixin

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
        bridge.await_(self._cursor.execute(query, params, **kwargs))
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

    def close(self) -> None:
        bridge.await_(self._cursor.close())
