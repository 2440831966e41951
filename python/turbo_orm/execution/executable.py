"""What can be executed: a statement with its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import psycopg

from turbo_orm._core import Parameters
from turbo_orm.driver.prepared import Bound


class ByCursor(Protocol):
    """A statement with its parameters, for Django's cursor."""

    @property
    def sql(self) -> str:
        """The statement, with ``%s`` for each value."""
        ...

    @property
    def params(self) -> Sequence[Any]:
        """The values."""
        ...


class Executable(Bound, ByCursor, Protocol):
    """A statement with its parameters, for Django's cursor and for libpq."""

    def render(self, connection: psycopg.AsyncConnection[Any]) -> bytes:
        """Return the statement with literals for the values, as psycopg's client cursor would."""
        ...

    def parameters(self, connection: psycopg.AsyncConnection[Any]) -> Parameters | None:
        """Return what it is executed with if it is prepared, ``None`` if it never is."""
        ...

    def execute_sql(self, name: bytes, connection: psycopg.AsyncConnection[Any]) -> bytes:
        """Return SQL that executes what was prepared by a name."""
        ...
