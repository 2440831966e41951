"""A compiled statement: SQL that Django has written once, and what binds values to it.

Django makes parameters of a value in its lookups. Where a lookup leaves values of a type as they
are, so does a binder here; everywhere else a lookup of the same class is made of the value and
compiled. If that gives other SQL than the traced one, or no rows can match, the value cannot be
bound to the statement.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Protocol

from django.core.exceptions import EmptyResultSet, FullResultSet

from turbo_orm.driver import durations
from turbo_orm.hydration.plan_cache import CachedPlan
from turbo_orm.hydration.row_layout import Layout
from turbo_orm.query_cache.bound import BoundSlice, BoundStatement
from turbo_orm.query_cache.expanding import Expanded, expansions, placeholders
from turbo_orm.query_cache.limit_offset import LimitOffset
from turbo_orm.query_cache.shareable import is_shareable

_PLACEHOLDER = re.compile(rb"%(.)", re.DOTALL)


class Unbindable(Exception):
    """Django would write other SQL for a value."""


class Binder(Protocol):
    """Makes the parameters of one of the values: the one in ``slot``.

    One of a list, of any length, has ``is_of_list``.
    """

    slot: int

    def params(self, value: Any) -> Sequence[Any]:
        """Return the parameters. Raise ``Unbindable`` if the SQL would be another."""
        ...


class PlainBinder:
    """Binds values that are parameters as they are."""

    __slots__ = ("slot",)

    def __init__(self, slot: int) -> None:
        self.slot = slot

    def params(self, value: Any) -> Sequence[Any]:
        return (value,)


class IntegerBinder:
    """Binds integers from ``low`` to ``high``, in psycopg's type of the field's size."""

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


class LookupBinder:
    """Binds values by Django's lookups, which are compiled for each."""

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


class ListBinder(LookupBinder):
    """Binds lists of any length by Django's lookups, which write a placeholder for each item."""

    __slots__ = ("_after", "_before")
    is_of_list = True

    def __init__(self, slot: int, lookup: Any, compiler: Any) -> None:
        super().__init__(slot, lookup, compiler)
        _, params = compiler.compile(lookup)
        self._before, self._after = self._sql.split(f"({placeholders(len(params))})")

    def params(self, value: Any) -> Sequence[Any]:
        try:
            sql, params = self._compiler.compile(value.lookup)
        except (EmptyResultSet, FullResultSet):
            raise Unbindable from None
        if sql != f"{self._before}({placeholders(len(params))}){self._after}":
            raise Unbindable
        return params  # type: ignore[no-any-return]


def lookup_binder(slot: int, lookup: Any, compiler: Any) -> LookupBinder:
    """Return what binds values by a lookup of Django's.

    Raises ``EmptyResultSet`` or ``FullResultSet`` where its value decides the SQL.
    """
    if lookup.lookup_name == "in":
        try:
            return ListBinder(slot, lookup, compiler)
        except ValueError:
            # It is written in another form: the length is part of the SQL.
            pass
    return LookupBinder(slot, lookup, compiler)


class ConstantBinder:
    """Binds values that are constants of expressions, by Django's, which are compiled for each."""

    __slots__ = ("_compiler", "_expressions", "slot")

    def __init__(self, slot: int, expressions: Sequence[tuple[Any, str]], compiler: Any) -> None:
        self.slot = slot
        self._expressions = expressions
        self._compiler = compiler

    def params(self, value: Any) -> Sequence[Any]:
        found: list[Any] = []
        for expression, sql in self._expressions:
            constant = copy(expression)
            constant.value = value
            compiled, params = self._compiler.compile(constant)
            if compiled != sql:
                raise Unbindable
            found += params
        return found


class FieldBinder:
    """Binds values that are saved to a field, by its ``get_db_prep_save()``.

    A value of exactly the type ``own`` is bound as it is, or by ``wrapper``.
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


class CompiledStatement:
    """SQL for the database of an alias, with the binders that make its parameters.

    ``places`` has for each parameter the index of its binder and the index among that one's
    parameters, or the parameter itself in a tuple of one if it is a constant; those of the indexes
    ``asked`` are functions that return it, or raise ``Unbindable``. ``zone`` is the name
    of the time zone that the SQL was compiled in, if it depends on that. ``layout`` is that of the
    rows, if there are any. With ``limit_offset``, ``sql`` has placeholders for the numbers of a
    slice, which is the last of the values. Parameters of the pairs of
    binders in ``must_differ`` must not be equal.
    """

    __slots__ = (
        "_asked",
        "_between",
        "_binders",
        "_constants",
        "_in_order",
        "_is_ascii",
        "_lists",
        "_places",
        "cached_plan",
        "is_shareable",
        "layout",
        "limit_offset",
        "literals_reason",
        "must_differ",
        "rows",
        "seconds",
        "sql",
        "using",
        "zone",
    )

    def __init__(
        self,
        using: str,
        sql: str,
        binders: Sequence[Binder],
        places: Sequence[tuple[int, int] | tuple[Any]],
        layout: Layout | None = None,
        zone: str | None = None,
        limit_offset: LimitOffset | None = None,
        asked: Sequence[int] = (),
    ) -> None:
        self.using = using
        self.sql = sql
        self.limit_offset = limit_offset
        self.layout = layout
        self.zone = zone
        #: The plan that hydrated its rows last, if it can serve again.
        self.cached_plan: CachedPlan | None = None
        #: How many rows came last: until then as many as there can be.
        self.rows = sys.maxsize
        self._binders = tuple(binders)
        self._places = tuple(places)
        self._asked = tuple(asked)
        #: Why it is always executed with literals, and never prepared, if that was found out.
        self.literals_reason = ""
        #: Whether it may be executed on a connection that several tasks use at once.
        self.is_shareable = is_shareable(sql)
        #: In how many seconds the server answers it, on average.
        self.seconds = durations.UNKNOWN
        #: Pairs of indexes of binders whose parameters, if equal, have Django write other SQL.
        self.must_differ: Sequence[tuple[int, int]] = ()
        slots = tuple([each.slot for each in binders if type(each) is ConstantBinder])
        self._constants = slots if len(slots) > 1 else ()
        self._in_order = self._places == tuple([(index, 0) for index in range(len(binders))])
        self._between = _split(sql)
        self._is_ascii = sql.isascii()
        numbers = 0 if limit_offset is None else limit_offset.numbers
        if len(self._between) != len(places) + numbers + 1:
            raise ValueError("The SQL has another number of placeholders.")
        lists = [index for index, each in enumerate(binders) if hasattr(each, "is_of_list")]
        self._lists = expansions(lists, self._places, self._between)

    @property
    def size(self) -> int:
        """Its size in bytes, by estimate: most of it is that of its columns."""
        columns = len(self.layout.selected) if self.layout else 0
        return 3_000 + 3 * len(self.sql) + 500 * len(self._binders) + 600 * columns

    def between(self, connection: Any) -> tuple[bytes, ...]:
        """Return the SQL between the placeholders, in the encoding of a psycopg connection."""
        if self._is_ascii or (encoding := connection.info.encoding) == "utf-8":
            return self._between
        return tuple([piece.decode().encode(encoding) for piece in self._between])

    def bind(self, values: Sequence[Any]) -> BoundStatement:
        """Return the statement with parameters made of the values.

        Raises ``Unbindable``, and whatever Django raises for a value.
        """
        found = [binder.params(values[binder.slot]) for binder in self._binders]
        if self._constants and len({*map(values.__getitem__, self._constants)}) != len(
            self._constants
        ):
            # Django compares expressions, and may write equal ones once.
            raise Unbindable
        if self.must_differ and any(
            [*found[one]] == [*found[other]] for one, other in self.must_differ
        ):
            raise Unbindable
        lists: Sequence[Expanded] = ()
        if self._lists:
            lists = [
                Expanded(start, traced, len(found[index]), separator)
                for start, traced, index, separator in self._lists
                if len(found[index]) != traced
            ]
        if lists:
            params = self._params_with(found, lists)
        elif self._in_order:
            params = [each[0] for each in found]
        else:
            params = self._params(found, 0, len(self._places))
        if self.limit_offset is not None:
            return BoundSlice(self, tuple(params), self.limit_offset, values[-1], lists)
        return BoundStatement(self, tuple(params), lists)

    def _params(self, found: Sequence[Sequence[Any]], start: int, stop: int) -> list[Any]:
        """Return the parameters of the places from one to another."""
        params = [
            place[0] if len(place) == 1 else found[place[0]][place[1]]
            for place in self._places[start:stop]
        ]
        for index in self._asked:
            if start <= index < stop:
                params[index - start] = params[index - start]()
        return params

    def _params_with(self, found: Sequence[Sequence[Any]], lists: Sequence[Expanded]) -> list[Any]:
        """Return all parameters, those of lists of other lengths included."""
        params: list[Any] = []
        position = 0
        for start, traced, _, _ in lists:
            params += self._params(found, position, start)
            params += found[self._places[start][0]]
            position = start + traced
        return params + self._params(found, position, len(self._places))


def _split(sql: str) -> tuple[bytes, ...]:
    """Return the SQL between the placeholders."""
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
