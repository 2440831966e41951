"""A compiled statement with its values: as a cursor takes it, with literals, or prepared."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from turbo_orm._core import Parameters
from turbo_orm.codecs.literals import as_parameters, with_literals
from turbo_orm.query_cache.expanding import Expanded, expand_between, expand_sql
from turbo_orm.query_cache.limit_offset import LimitOffset

if TYPE_CHECKING:
    from turbo_orm.query_cache.compiled import CompiledStatement


class BoundStatement:
    """A compiled statement with its parameters, and lists that have another length in them."""

    __slots__ = ("_lists", "params", "statement")

    def __init__(
        self,
        statement: CompiledStatement,
        params: tuple[Any, ...],
        lists: Sequence[Expanded] = (),
    ) -> None:
        self.statement = statement
        self.params = params
        self._lists = lists

    @property
    def sql(self) -> str:
        """The SQL with ``%s`` for each parameter, as a cursor takes it."""
        return expand_sql(self.statement.sql, self._lists)

    @property
    def rows(self) -> int:
        """How many rows are expected: as many as came last."""
        return self.statement.rows

    #: The values of all placeholders.
    values = property(attrgetter("params"))

    def render(self, connection: Any) -> bytes:
        """Return the SQL with literals of the parameters, as psycopg's client cursor writes it."""
        between = self.statement.between(connection)
        if self._lists:
            between = expand_between(between, self._lists)
        return with_literals(between, self.values, connection)

    def parameters(self, connection: Any) -> Parameters | None:
        """Return what the SQL is executed with if it is prepared, ``None`` if it never is."""
        statement = self.statement
        # Of two lists, the number of parameters does not say which is how long.
        if statement.literals_reason or len(statement._lists) > 1:
            return None
        return as_parameters(self.values, connection)

    def numbered_sql(self, connection: Any) -> bytes:
        """Return the SQL with ``$1``, ``$2`` … for the parameters."""
        first, *rest = expand_between(self.statement.between(connection), self._lists)
        return first + b"".join([b"$%d%b" % numbered for numbered in enumerate(rest, 1)])

    def execute_sql(self, name: bytes, connection: Any) -> bytes:
        """Return SQL that executes what was prepared by a name."""
        values = self.values
        between = (b"EXECUTE %b(" % name, *[b", "] * (len(values) - 1), b")")
        return with_literals(between, values, connection) if values else b"EXECUTE " + name


class BoundSlice(BoundStatement):
    """A statement with its parameters, and a slice, whose numbers are part of the SQL."""

    __slots__ = ("_limit_offset", "_slice")

    def __init__(
        self,
        statement: CompiledStatement,
        params: tuple[Any, ...],
        limit_offset: LimitOffset,
        slice_: slice,
        lists: Sequence[Expanded] = (),
    ) -> None:
        super().__init__(statement, params, lists)
        self._limit_offset = limit_offset
        self._slice = slice_

    @property
    def sql(self) -> str:
        return expand_sql(self._limit_offset.sql(self._slice), self._lists)

    @property
    def rows(self) -> int:
        """How many rows are expected: as many as the slice may have, whatever page came last."""
        start, stop = self._slice.start, self._slice.stop
        return super().rows if stop is None else stop - (start or 0)

    @property
    def values(self) -> tuple[Any, ...]:
        return self._limit_offset.insert(self._slice, self.params)
