"""LIMIT and OFFSET: numbers that Django writes into the SQL, and a compiled statement leaves open.

So all pages of a list have one cache entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turbo_orm.query_cache.no_cache_key import NoCacheKey

# By whether there is a start, and whether there is a stop.
_SQL = {
    (False, True): "LIMIT %d",
    (True, False): "OFFSET %d",
    (True, True): "LIMIT %d OFFSET %d",
}


def of_slice(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], list[Any]]:
    """Return the key of a slice (whether it has a start and a stop), and the slice as its value.

    Raises ``NoCacheKey``, also for a slice that selects no rows, or all.
    """
    (bounds,) = args
    start, stop = bounds.start, bounds.stop
    if type(start) not in (int, type(None)) or type(stop) not in (int, type(None)):
        raise NoCacheKey("a slice by something else than integers")
    start = start or 0
    if start < 0 or (start == 0 if stop is None else stop <= start):
        raise NoCacheKey("a slice without rows, or with all of them")
    return (start > 0, stop is not None), [slice(start or None, stop)]


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
