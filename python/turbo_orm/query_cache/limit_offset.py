"""LIMIT and OFFSET: numbers that Django writes into the SQL, and a compiled statement leaves open.

So all pages of a list have one cache entry.
"""

from __future__ import annotations

from typing import Any

# By whether there is a start, and whether there is a stop.
_SQL = {
    (False, True): "LIMIT %d",
    (True, False): "OFFSET %d",
    (True, True): "LIMIT %d OFFSET %d",
}


class LimitOffset:
    """Where a statement has the LIMIT and OFFSET of a slice."""

    __slots__ = ("_after", "_before", "_behind", "numbers", "template")

    def __init__(self, before: str, slice_: slice, after: str) -> None:
        self._before = before
        self._after = after
        # How many parameters come behind the numbers.
        self._behind = after.replace("%%", "").count("%s")
        sql = _SQL[_kinds(slice_)]
        #: How many numbers there are: 1 or 2.
        self.numbers = sql.count("%d")
        #: The SQL with ``%s`` for each of the numbers, too.
        self.template = before + sql.replace("%d", "%s") + after

    def sql(self, slice_: slice) -> str:
        """Return the SQL as Django writes it for a slice."""
        return self._before + limits(slice_) + self._after

    def insert(self, slice_: slice, params: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the parameters of the template, in their order."""
        place = len(params) - self._behind
        return (*params[:place], *_numbers(slice_), *params[place:])


def limits(slice_: slice) -> str:
    """Return what Django writes for a slice."""
    return _SQL[_kinds(slice_)] % _numbers(slice_)


def far(slice_: slice) -> slice:
    """Return a slice with other numbers that occur nowhere else in a statement."""
    start = slice_.start and slice_.start + 10_007
    return slice(start, slice_.stop and slice_.stop + 10_010_013)


def _kinds(slice_: slice) -> tuple[bool, bool]:
    return slice_.start is not None, slice_.stop is not None


def _numbers(slice_: slice) -> tuple[int, ...]:
    """Return the numbers of LIMIT and OFFSET, those that there are."""
    start, stop = slice_.start, slice_.stop
    if stop is None:
        return (start,)
    return (stop,) if start is None else (stop - start, start)
