"""An operation: a method of the contenders, the work for it, and its effect on the table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Kind(Enum):
    """What an operation does to the table."""

    # Fills an empty one.
    INSERT = auto()
    # Leaves a full one as it is.
    READ = auto()
    # Changes rows of a full one, of which it has instances already.
    CHANGE = auto()


@dataclass(frozen=True)
class Operation:
    """An operation as the original has it. ``shares`` divides the work, or the instances."""

    letter: str
    name: str
    method: str
    kind: Kind
    shares: Callable[..., list[Sequence[Any]]]
    # How many rows are written, or are in the results.
    rows: int

    def __str__(self) -> str:
        return f"{self.letter} {self.name}"
