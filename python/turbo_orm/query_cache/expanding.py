"""Lists in ``IN``: one statement serves lists of any length (SQLAlchemy's expanding parameters).

Django writes a placeholder for each item of a list. Where it writes the same of a longer or a
shorter one but for that, the placeholders of the traced list are replaced by as many as there are
items. The items of a list of rows are in parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

_PLACEHOLDER = re.compile("%(.)", re.DOTALL)
# What is between two items, with the delimiters before the first and behind the last.
_DELIMITERS = {b"), (": (b"((", b"))"), b", ": (b"(", b")")}


class Expansion(NamedTuple):
    """A list in a statement: its first place, how many it was traced with, and its binder.

    ``separator`` is the SQL between two of its placeholders.
    """

    start: int
    traced: int
    binder: int
    separator: bytes


class Expanded(NamedTuple):
    """A list of another length than the traced one: its first place, and both lengths."""

    start: int
    traced: int
    length: int
    separator: bytes


def placeholders(number: int) -> str:
    """Return what Django writes for so many items."""
    return ", ".join(["%s"] * number)


def expansions(
    lists: Sequence[int], places: Sequence[tuple[Any, ...]], between: Sequence[bytes]
) -> tuple[Expansion, ...]:
    """Return where the SQL has the lists of the binders with these indexes.

    ``between`` is the SQL between the placeholders. Raises ``ValueError`` if it has a list in
    another form.
    """
    found: list[Expansion] = []
    start = 0
    while start < len(places):
        place = places[start]
        if len(place) == 1 or place[0] not in lists:
            start += 1
            continue
        binder: int = place[0]
        stop = start
        while stop < len(places) and places[stop] == (binder, stop - start):
            stop += 1
        separator = _separator(between[start : stop + 1])
        if stop == start or separator is None:
            raise ValueError("A list is written in another form.")
        found.append(Expansion(start, stop - start, binder, separator))
        start = stop
    return tuple(found)


def _separator(between: Sequence[bytes]) -> bytes | None:
    """Return what separates the items of a list, ``None`` if they are written in another form."""
    before, *separators, after = between
    for separator, (opening, closing) in _DELIMITERS.items():
        if (
            before.endswith(opening)
            and after.startswith(closing)
            and all(each == separator for each in separators)
        ):
            return separator
    return None


def expand_between(between: Sequence[bytes], lists: Sequence[Expanded]) -> tuple[bytes, ...]:
    """Return the SQL between the placeholders, for lists of other lengths."""
    if not lists:
        return tuple(between)
    found: list[bytes] = []
    position = 0
    for start, traced, length, separator in lists:
        found += between[position : start + 1]
        found += [separator] * (length - 1)
        position = start + traced
    return (*found, *between[position:])


def expand_sql(sql: str, lists: Sequence[Expanded]) -> str:
    """Return SQL with ``%s`` for each parameter, for lists of other lengths."""
    if not lists:
        return sql
    spans = [match.span() for match in _PLACEHOLDER.finditer(sql) if match[1] == "s"]
    found: list[str] = []
    position = 0
    for start, traced, length, separator in lists:
        placeholders = separator.decode().join(["%s"] * length)
        found += (sql[position : spans[start][0]], placeholders)
        position = spans[start + traced - 1][1]
    return "".join([*found, sql[position:]])
