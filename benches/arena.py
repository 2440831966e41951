"""Where contenders meet: each is connected once, checked, and timed in the same way."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import cycle
from typing import Any

from benches.case import Case
from benches.contenders.contender import Contender, Query
from benches.contenders.orm import DJANGO_SYNC
from benches.tables.data import fill, use_physical_order
from benches.task import Task

# How many queries are timed together, by the number of their rows: a short one alone is noise.
QUERIES = {1: 100, 20: 50, 100: 20, 1_000: 4}
ROUNDS = 7
# From so many rows on, when fewer rounds have to do, and the check for a warm-up.
MANY = 100_000
ROUNDS_OF_MANY = 3


class Arena:
    """A task in which the contenders have their connections."""

    def __init__(self) -> None:
        self.task = Task()
        self._opened: list[Contender] = []
        use_physical_order()

    def bench(self, benchmark: Any, case: Case) -> None:
        """Check a contender's answer, and time it."""
        self.check(case)
        self.time(benchmark, case)

    def check(self, case: Case) -> None:
        """Assert that a contender's answer is that of Django on its sync connection."""
        fill(case.model)
        self._open(case.contender)
        actual = case.tuples(self.answer(case, case.query()))
        expected = _expected(replace(case, contender=DJANGO_SYNC))
        assert len(actual) == case.rows
        differences = [pair for pair in zip(actual, expected, strict=True) if pair[0] != pair[1]]
        assert not differences, differences[0]

    def answer(self, case: Case, query: Query) -> Any:
        """Return what a case's query, or a function like it, returns."""
        return self.task.run(query) if case.contender.is_async else query()

    def time(self, benchmark: Any, case: Case) -> None:
        """Time a query, from its making to the freeing of its results."""
        case.describe(benchmark)
        queries = QUERIES.get(case.rows, 1)
        call = self._in_one_go(case, queries)
        gc.collect()
        many = case.rows >= MANY
        benchmark.pedantic(
            call,
            iterations=queries,
            rounds=ROUNDS_OF_MANY if many else ROUNDS,
            warmup_rounds=0 if many else 1,
        )

    def close(self) -> None:
        """Close all connections."""
        for contender in self._opened:
            self.task.run(contender.close)
        self.task.close()

    def _open(self, contender: Contender) -> None:
        if contender not in self._opened:
            self.task.run(contender.open)
            self._opened.append(contender)

    def _in_one_go(self, case: Case, queries: int) -> Callable[[], None]:
        """Return a function whose first call of so many asks all queries; the others do nothing.

        The way to the event loop and back would be a good part of a short query.
        """
        query: Any = case.query()

        async def ask_async() -> None:
            for _ in range(queries):
                await query()

        def ask_sync() -> None:
            for _ in range(queries):
                query()

        ask: Any = ask_async if case.contender.is_async else ask_sync
        turns: Iterator[int] = cycle(range(queries))

        def call() -> None:
            if next(turns) == 0:
                self.answer(case, ask)

        return call


# Contenders that are asked for the same follow each other.
@lru_cache(maxsize=1)
def _expected(case: Case) -> list[tuple[Any, ...]]:
    query: Any = case.query()
    return case.tuples(query())
