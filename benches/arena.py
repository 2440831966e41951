"""Where contenders meet: each is connected once, checked, and timed in the same way."""

import gc
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

from django.db.models import Model

from benches.contenders.contender import Contender, Query
from benches.contenders.orm import DJANGO_SYNC
from benches.shape import Shape
from benches.tables.data import fill
from benches.task import Task

# How many queries are timed together, by the number of their rows: a short one alone is noise.
QUERIES = {1: 100, 20: 50, 100: 20, 1_000: 4}
ROUNDS = 7
ROUNDS_OF_100_000 = 3


class Arena:
    """A task in which the contenders have their connections."""

    def __init__(self) -> None:
        self.task = Task()
        self._opened: dict[str, Contender] = {}

    def answer(self, contender: Contender, query: Query) -> list[Any]:
        """Return a query's results."""
        return self.task.run(query) if contender.is_async else query()

    def check(self, contender: Contender, model: type[Model], shape: Shape, rows: int) -> None:
        """Assert that a contender's answer is that of Django on its sync connection."""
        fill(model)
        self._open(contender)
        expected, actual = (
            each.tuples(model, shape, self.answer(each, each.query(model, shape, rows)))
            for each in (DJANGO_SYNC, contender)
        )
        assert len(actual) == rows
        assert actual == expected

    def time(self, benchmark: Any, contender: Contender, query: Query, rows: int) -> None:
        """Time a query, from its making to the freeing of its results."""
        queries = QUERIES.get(rows, 1)
        gc.collect()
        benchmark.pedantic(
            self._in_one_go(contender, query, queries),
            iterations=queries,
            rounds=ROUNDS_OF_100_000 if rows >= 100_000 else ROUNDS,
            warmup_rounds=1,
        )

    def close(self) -> None:
        """Close all connections."""
        for contender in self._opened.values():
            self.task.run(contender.close)
        self.task.close()

    def _open(self, contender: Contender) -> None:
        if contender.name not in self._opened:
            self.task.run(contender.open)
            self._opened[contender.name] = contender

    def _in_one_go(self, contender: Contender, query: Any, queries: int) -> Callable[[], None]:
        """Return a function whose first call of so many asks all queries; the others do nothing.

        The way to the event loop and back would be a good part of a short query.
        """

        async def ask() -> None:
            for _ in range(queries):
                await query()

        def ask_sync() -> None:
            for _ in range(queries):
                query()

        turns: Iterator[int] = cycle(range(queries))

        def call() -> None:
            if next(turns) == 0:
                if contender.is_async:
                    self.task.run(ask)
                else:
                    ask_sync()

        return call
