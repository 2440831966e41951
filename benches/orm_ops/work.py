"""The work of each operation: the same for every contender, in ten shares.

Where the original draws at random, this takes turns or draws with a seed.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from benches.harness.pool import SIZE

# As many as in the original's "full" runs.
ROWS = 1_000
# The rows of the original's table before it reads: what three operations have inserted.
FILLED = 3 * ROWS

LEVELS = (10, 20, 30, 40, 50)
LIMIT = 20

_SHARE = ROWS // SIZE

# How often each level is read, and the rows of that, and how many single rows are.
_TIMES = 10
ROWS_OF_LEVELS = _TIMES * FILLED
GETS = 2 * ROWS


class Entry(NamedTuple):
    """The values of a row."""

    level: int
    text: str


class Page(NamedTuple):
    """The part of a level's rows that a query asks for."""

    level: int
    offset: int


def entries(letter: str, rows: int = ROWS) -> list[Entry]:
    """Return what an operation inserts."""
    return [Entry(LEVELS[i % len(LEVELS)], f"Insert from {letter}, item {i}") for i in range(rows)]


def shares(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Return ten parts of what there is to insert, to update or to delete."""
    return [items[start : start + _SHARE] for start in range(0, ROWS, _SHARE)]


def levels() -> list[Sequence[int]]:
    """Return the levels that each task reads: all of them, ten times in all."""
    return [LEVELS * (_TIMES // SIZE)] * SIZE


def pages() -> list[Sequence[Page]]:
    """Return the pages that each task reads. Some lie behind the last row."""
    random = Random(1)
    return [
        [
            Page(level, random.randrange(ROWS - LIMIT))
            for _ in range(_SHARE // 10)
            for level in LEVELS
        ]
        for _ in range(SIZE)
    ]


def rows_of_pages() -> int:
    """Return how many rows there are on the pages."""
    last = FILLED // len(LEVELS)
    return sum(max(0, min(LIMIT, last - page.offset)) for share in pages() for page in share)


def keys() -> list[Sequence[int]]:
    """Return the keys whose rows each task gets."""
    random = Random(1)
    return [[random.randint(1, ROWS - 1) for _ in range(GETS // SIZE)] for _ in range(SIZE)]


def next_level(level: int) -> int:
    """Return another level, so that an update has something to write."""
    return LEVELS[(LEVELS.index(level) + 1) % len(LEVELS)]
