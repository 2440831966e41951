"""Where the contenders run: each is connected once, checked, and timed in the same way."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from benches.orm_ops.contenders.contender import Contender
from benches.orm_ops.contenders.django_sync import DjangoSync
from benches.orm_ops.operation import Kind
from benches.orm_ops.tables import Tables
from benches.orm_ops.tasks import Tasks
from benches.orm_ops.threads import Threads
from benches.orm_ops.trial import Trial
from benches.orm_ops.work import ROWS
from benches.tables.data import use_physical_order

ROUNDS = 5

DJANGO_SYNC = DjangoSync()


class Track:
    """Ten tasks and ten threads, and the tables."""

    def __init__(self) -> None:
        use_physical_order()
        self.tasks = Tasks()
        self.threads = Threads()
        self.tables = Tables()
        self._opened: list[Contender] = []
        self._expected: tuple[Any, Any] = (None, None)

    def bench(self, benchmark: Any, trial: Trial) -> None:
        """Check what a contender does, and time it."""
        self.check(trial)
        trial.describe(benchmark)
        gc.collect()
        rows = benchmark.pedantic(
            self._do, setup=lambda: ((trial, self._prepare(trial)), {}), rounds=ROUNDS
        )
        assert rows == trial.operation.rows

    def check(self, trial: Trial) -> None:
        """Assert that a contender reads or leaves what Django does."""
        if trial.contender not in self._opened:
            self.tasks.run(trial.contender.open())
            self._opened.append(trial.contender)
        what = (trial.model, trial.operation)
        if self._expected[0] != what:
            self._expected = (what, self._answer(Trial(*what, DJANGO_SYNC)))
        actual, expected = self._answer(trial), self._expected[1]
        assert len(actual) == len(expected)
        differences = [pair for pair in zip(actual, expected, strict=True) if pair[0] != pair[1]]
        assert not differences, differences[0]

    def close(self) -> None:
        """Close all connections."""
        for contender in self._opened:
            self.tasks.run(contender.close())
        self.tables.drop()
        self.tasks.close()
        self.threads.close()

    def _prepare(self, trial: Trial) -> list[Sequence[Any]]:
        """Have the table as the operation expects it, and return the shares of the work."""
        operation, contender = trial.operation, trial.contender
        if operation.kind is Kind.INSERT:
            self.tables.empty(trial.model)
            return operation.shares()
        self.tables.fill(trial.model)
        if operation.kind is Kind.READ:
            return operation.shares()
        self.tables.spoil(trial.model)
        (instances,) = self._each(trial, contender.instances, [ROWS])
        return operation.shares(instances)

    def _do(self, trial: Trial, shares: list[Sequence[Any]]) -> int:
        """Do an operation, which is what is timed, and return the number of rows."""
        if trial.operation.kind is Kind.READ:
            count = _count_async if trial.contender.is_async else _count
            return sum(self._each(trial, trial.method, shares, count))
        self._each(trial, trial.method, shares)
        return trial.operation.rows

    def _answer(self, trial: Trial) -> list[tuple[Any, ...]]:
        """Do an operation, and return the rows that it leaves, or those that a task has read."""
        shares = self._prepare(trial)
        if trial.operation.kind is Kind.READ:
            collect = _collect_async if trial.contender.is_async else list
            return [
                values
                for results in self._each(trial, trial.method, shares[:1], collect)
                for rows in results
                for values in trial.contender.values(trial.model, rows)
            ]
        self._each(trial, trial.method, shares)
        return self.tables.rows(trial.model, with_keys=trial.operation.kind is Kind.CHANGE)

    def _each(
        self,
        trial: Trial,
        method: Callable[[Any, Any], Any],
        shares: Sequence[Any],
        reader: Callable[[Any], Any] = lambda result: result,
    ) -> list[Any]:
        """Have a task or a thread call a method with each share, and read what it returns."""
        journal = trial.contender.journal(trial.model)
        crew = self.tasks if trial.contender.is_async else self.threads
        return crew.each(lambda share: reader(method(journal, share)), shares)


async def _count_async(results: AsyncIterator[list[Any]]) -> int:
    count = 0
    async for rows in results:
        count += len(rows)
    return count


def _count(results: Iterator[list[Any]]) -> int:
    return sum(len(rows) for rows in results)


async def _collect_async(results: AsyncIterator[list[Any]]) -> list[list[Any]]:
    return [rows async for rows in results]
