"""A statement that was learnt: its SQL, and how values become its parameters.

Django makes parameters of a value in its lookups. Where a lookup leaves values of a kind as they
are, so does the statement; everywhere else a lookup like the learnt one is made of the value, and
asked. Should it answer with other SQL, or refuse, the statement is not the one for the value.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from django.core.exceptions import EmptyResultSet, FullResultSet

from turbo_orm.codecs.literals import filled
from turbo_orm.hydration.plan_cache import KeptPlan
from turbo_orm.hydration.row_layout import Layout
from turbo_orm.query_cache.limit_offset import Bounds

_PLACEHOLDER = re.compile(rb"%(.)", re.DOTALL)


class Unbindable(Exception):
    """A value would have Django write other SQL."""


class Part(Protocol):
    """What makes parameters of one of the values."""

    slot: int

    def params(self, value: Any) -> Sequence[Any]:
        """Return the parameters. Raise ``Unbindable`` if the SQL would be another."""
        ...


class Unchanged:
    """Values that are parameters as they are."""

    __slots__ = ("slot",)

    def __init__(self, slot: int) -> None:
        self.slot = slot

    def params(self, value: Any) -> Sequence[Any]:
        return (value,)


class Integer:
    """Integers that a field can hold, in psycopg's type of that size. Others match nothing."""

    __slots__ = ("_high", "_low", "_wrapper", "slot")

    def __init__(self, slot: int, wrapper: Callable[[int], Any], low: int, high: int) -> None:
        self.slot = slot
        self._wrapper = wrapper
        self._low = low
        self._high = high

    def params(self, value: Any) -> Sequence[Any]:
        if self._low <= value <= self._high:
            return (self._wrapper(value),)
        raise Unbindable


class Prepared:
    """Values in lookups of Django's, which make the parameters."""

    __slots__ = ("_compiler", "_sql", "slot")

    def __init__(self, slot: int, lookup: Any, compiler: Any) -> None:
        self.slot = slot
        self._compiler = compiler
        self._sql, _ = compiler.compile(lookup)

    def params(self, value: Any) -> Sequence[Any]:
        try:
            sql, params = self._compiler.compile(value.lookup)
        except (EmptyResultSet, FullResultSet):
            raise Unbindable from None
        if sql != self._sql:
            raise Unbindable
        return params  # type: ignore[no-any-return]


class Saved:
    """Values that are saved to a field, as it prepares them.

    Those of its ``own`` type it takes as they are, or in a type of psycopg's.
    """

    __slots__ = ("_connection", "_field", "own", "slot", "wrapper")

    def __init__(
        self, slot: int, field: Any, connection: Any, own: type | None, wrapper: Any
    ) -> None:
        self.slot = slot
        self._field = field
        self._connection = connection
        self.own = own
        self.wrapper = wrapper

    def params(self, value: Any) -> Sequence[Any]:
        return (self.param(value),)

    def param(self, value: Any) -> Any:
        """Return the one parameter."""
        if type(value) is not self.own:
            return self._field.get_db_prep_save(value, connection=self._connection)
        return value if self.wrapper is None else self.wrapper(value)


class Statement:
    """SQL for a database, by its alias, with the parts that make its parameters.

    ``places`` says of each parameter which part's it is, and which of those, or has it, in a
    tuple of one, if it is always the same. ``zone`` is the time zone that the SQL was written
    for, if it is not the same for all. ``layout`` is that of the rows, if there are any. With
    ``bounds``, ``sql`` has placeholders for those of a slice, which is the last of the values.
    """

    __slots__ = (
        "_between",
        "_in_order",
        "_is_ascii",
        "_parts",
        "_places",
        "bounds",
        "kept",
        "layout",
        "rows",
        "sql",
        "using",
        "zone",
    )

    def __init__(
        self,
        using: str,
        sql: str,
        parts: Sequence[Part],
        places: Sequence[tuple[int, int] | tuple[Any]],
        layout: Layout | None = None,
        zone: str | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self.using = using
        self.sql = sql
        self.bounds = bounds
        self.layout = layout
        self.zone = zone
        #: The plan for its rows that served last.
        self.kept: KeptPlan | None = None
        #: How many rows came last: many, until some have.
        self.rows = sys.maxsize
        self._parts = tuple(parts)
        self._places = tuple(places)
        self._in_order = self._places == tuple([(index, 0) for index in range(len(parts))])
        self._between = _split(sql)
        self._is_ascii = sql.isascii()
        numbers = 0 if bounds is None else bounds.numbers
        if len(self._between) != len(places) + numbers + 1:
            raise ValueError("The SQL has another number of placeholders.")

    @property
    def size(self) -> int:
        """How many bytes it takes, by estimate: its columns are most of that."""
        columns = len(self.layout.selected) if self.layout else 0
        return 3_000 + 3 * len(self.sql) + 500 * len(self._parts) + 600 * columns

    def between(self, connection: Any) -> tuple[bytes, ...]:
        """Return what is between the placeholders, as a connection of psycopg's encodes it."""
        if self._is_ascii or (encoding := connection.info.encoding) == "utf-8":
            return self._between
        return tuple([piece.decode().encode(encoding) for piece in self._between])

    def bind(self, values: Sequence[Any]) -> Bound:
        """Return the statement with parameters made of the values.

        Raises ``Unbindable``, and whatever Django raises for a value.
        """
        found = [part.params(values[part.slot]) for part in self._parts]
        if self._in_order:
            params = [each[0] for each in found]
        else:
            params = [
                place[0] if len(place) == 1 else found[place[0]][place[1]]
                for place in self._places
            ]
        if self.bounds is not None:
            return Sliced(self, tuple(params), self.bounds, values[-1])
        return Bound(self, tuple(params))


class Bound:
    """A statement with its parameters."""

    __slots__ = ("params", "statement")

    def __init__(self, statement: Statement, params: tuple[Any, ...]) -> None:
        self.statement = statement
        self.params = params

    @property
    def sql(self) -> str:
        """The SQL with placeholders, as a cursor takes it."""
        return self.statement.sql

    @property
    def rows(self) -> int:
        """How many rows are expected: as many as came last."""
        return self.statement.rows

    def render(self, connection: Any) -> bytes:
        """Return the SQL with literals of the parameters, as psycopg's connection writes them."""
        return filled(self.statement.between(connection), self.params, connection)


class Sliced(Bound):
    """A statement with its parameters, and the bounds of a slice, which are none to a cursor."""

    __slots__ = ("_bounds", "_slice")

    def __init__(
        self, statement: Statement, params: tuple[Any, ...], bounds: Bounds, slice_: slice
    ) -> None:
        super().__init__(statement, params)
        self._bounds = bounds
        self._slice = slice_

    @property
    def sql(self) -> str:
        return self._bounds.sql(self._slice)

    @property
    def rows(self) -> int:
        """How many rows are expected: as many as there may be. Another page says nothing of it."""
        start, stop = self._slice.start, self._slice.stop
        return super().rows if stop is None else stop - (start or 0)

    def render(self, connection: Any) -> bytes:
        values = self._bounds.insert(self._slice, self.params)
        return filled(self.statement.between(connection), values, connection)


def _split(sql: str) -> tuple[bytes, ...]:
    """Return what is between the placeholders."""
    between = [b""]
    end = 0
    encoded = sql.encode()
    for match in _PLACEHOLDER.finditer(encoded):
        between[-1] += encoded[end : match.start()]
        end = match.end()
        if match[1] == b"s":
            between.append(b"")
        elif match[1] == b"%":
            between[-1] += b"%"
        else:
            raise ValueError("The SQL has a placeholder of another kind.")
    between[-1] += encoded[end:]
    return tuple(between)
