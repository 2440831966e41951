"""Statements for the wire, with the literals that psycopg itself puts in."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from turbo_orm.execution import direct


@dataclass
class Statement:
    """A statement as a compiled query gives it."""

    sql: str
    params: tuple[Any, ...] = ()
    statement: ClassVar[Any] = SimpleNamespace(is_shareable=False)

    def render(self, connection: Any) -> bytes:
        cursor = connection.cursor_factory(connection)
        return cursor.mogrify(self.sql, self.params).encode()

    def parameters(self, connection: Any) -> None:
        """Return ``None``: it is never prepared."""


def rows(executed: Any) -> list[tuple[Any, ...]]:
    """Return what came of a statement as text."""
    pgresult, _ = executed
    return [
        tuple(
            None if value is None else value.decode()
            for value in (pgresult.get_value(row, column) for column in range(pgresult.nfields))
        )
        for row in range(pgresult.ntuples)
    ]


async def ask(sql: str, *params: Any, using: str = "default") -> list[tuple[Any, ...]]:
    """Execute a statement and return its rows as text."""
    return rows(await direct.execute(using, Statement(sql, params)))


class Ways:
    """Which way each statement has gone: ``direct`` or ``cursor``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        by_cursor = direct.execute_by_cursor
        self._by_cursor = 0
        self.last = ""

        def counted(using: str, statement: Any) -> Any:
            self._by_cursor += 1
            return by_cursor(using, statement)

        monkeypatch.setattr(direct, "execute_by_cursor", counted)

    async def of(self, sql: str = "SELECT 1", *params: Any, using: str = "default") -> str:
        """Execute a statement and return its way, whatever comes of it."""
        before = self._by_cursor
        try:
            await ask(sql, *params, using=using)
        finally:
            self.last = "direct" if self._by_cursor == before else "cursor"
        return self.last
