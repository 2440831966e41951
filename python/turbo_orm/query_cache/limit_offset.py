"""The bounds of a slice: numbers in the SQL, which are no parameters of Django's.

So that the pages of a list are one structure, a statement has placeholders where Django writes
them.
"""

from __future__ import annotations

from typing import Any

# By whether there is a start, and whether there is a stop.
_SQL = {
    (False, True): "LIMIT %d",
    (True, False): "OFFSET %d",
    (True, True): "LIMIT %d OFFSET %d",
}


class Bounds:
    """Where a statement has the bounds of a slice."""

    __slots__ = ("_after", "_before", "_place", "numbers", "template")

    def __init__(self, before: str, bounds: slice, after: str) -> None:
        self._before = before
        self._after = after
        # How many parameters come before them.
        self._place = before.replace("%%", "").count("%s")
        sql = _SQL[_kinds(bounds)]
        #: How many numbers there are.
        self.numbers = sql.count("%d")
        #: The SQL with placeholders for them, too.
        self.template = before + sql.replace("%d", "%s") + after

    def sql(self, bounds: slice) -> str:
        """Return the SQL as Django writes it."""
        return self._before + limits(bounds) + self._after

    def insert(self, bounds: slice, params: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what goes into the template, in its order."""
        return (*params[: self._place], *_numbers(bounds), *params[self._place :])


def limits(bounds: slice) -> str:
    """Return what Django writes of bounds."""
    return _SQL[_kinds(bounds)] % _numbers(bounds)


def far(bounds: slice) -> slice:
    """Return bounds of the same kind that are far from these, and from each other."""
    start = bounds.start and bounds.start + 10_007
    return slice(start, bounds.stop and bounds.stop + 10_010_013)


def _kinds(bounds: slice) -> tuple[bool, bool]:
    return bounds.start is not None, bounds.stop is not None


def _numbers(bounds: slice) -> tuple[int, ...]:
    """Return how many rows there are to be, and how many are to be left out."""
    start, stop = bounds.start, bounds.stop
    if stop is None:
        return (start,)
    return (stop,) if start is None else (stop - start, start)
