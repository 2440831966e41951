"""A question of the tour."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from atlas.contender import Contender


@dataclass(frozen=True)
class Question:
    """What is asked, with which methods, how it is answered, and how its answer is read."""

    text: str
    methods: str
    ask: Callable[[Contender], Awaitable[Any]]
    first: Callable[[Any], Iterable[str]]
    rows: Callable[[Any], int] = len
    reads: bool = True
