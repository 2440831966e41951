"""A small operation: a method of the contenders, and its values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Operation:
    """An operation: what a contender's method does with values, which are those of its SQL.

    ``fetched`` is what is fetched of the result: ``one`` row, ``all``, or nothing.
    """

    name: str
    what: str
    method: str
    fetched: str
    values: Callable[[int], tuple[Any, ...]]
    writes: bool = False

    def __str__(self) -> str:
        return self.name
