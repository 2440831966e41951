"""The harness: it connects each contender once, checks its answer, and times it."""

import gc
from collections.abc import Callable, Sequence
from itertools import cycle
from time import perf_counter
from typing import Any

from benches.harness import record
from benches.harness.case import Case
from benches.harness.contender import Contender
from benches.harness.task import Task
from benches.harness.threads import Threads
from benches.tables.data import use_physical_order


class Harness:
    """A task for each kind of event loop, threads, and the contenders that are connected."""

    def __init__(self) -> None:
        self._tasks: dict[Any, Task] = {}
        self._threads: dict[int, Threads] = {}
        self._open: list[Contender] = []
        self._expected: tuple[Case, list[Any]] | None = None
        use_physical_order()

    def bench(self, benchmark: Any, case: Case) -> None:
        """Check a case's answer, and time its rounds, which alternate with those of its pacer."""
        self.check(case)
        call, pacer = self.call(case), case.pacer
        pace = self.call(pacer) if pacer else None
        paces: list[float] = []

        def prepare() -> tuple[tuple[Any], dict[str, Any]]:
            if pace and pacer:
                argument = pacer.prepare(self)
                paces.append(_seconds(lambda: pace(argument)))
            return (case.prepare(self),), {}

        record.describe(benchmark, case, case.measured)
        gc.collect()
        if case.iterations == 1:
            result = benchmark.pedantic(
                call, setup=prepare, rounds=case.rounds, warmup_rounds=case.warm_ups
            )
        else:
            result = benchmark.pedantic(
                _once_in(case.iterations, call),
                iterations=case.iterations,
                rounds=case.rounds,
                warmup_rounds=case.warm_ups,
            )
        record.add(benchmark, **case.figures)
        if paces:
            record.add(benchmark, **{record.PACER: float(f"{min(paces):.5g}")})
        case.finish(self, result)

    def measure(
        self,
        benchmark: Any,
        case: Case,
        measured: str,
        function: Callable[[], dict[str, Any]],
        rounds: int = 1,
        warm_ups: int = 0,
    ) -> None:
        """Check a case's answer, and record the figures that a function returns at last.

        They are something else than the function's own time, which is recorded, too.
        """
        self.check(case)
        record.describe(benchmark, case, measured)
        gc.collect()
        figures = benchmark.pedantic(function, rounds=rounds, warmup_rounds=warm_ups)
        record.add(benchmark, **figures)

    def check(self, case: Case) -> None:
        """Assert that a case has the answer of its reference."""
        expected_of = case.by(case.reference)
        if self._expected is None or self._expected[0] != expected_of:
            self._connect(case.reference)
            self._expected = (expected_of, expected_of.answer(self))
        self._connect(case.contender)
        actual, expected = case.answer(self), self._expected[1]
        assert len(actual) == len(expected)
        differences = [pair for pair in zip(actual, expected, strict=True) if pair[0] != pair[1]]
        assert not differences, differences[0]
        case.check_further(self)

    def call(self, case: Case) -> Callable[..., Any]:
        """Return a function that does a case's work once, with what ``prepare()`` returned."""
        contender = case.contender
        self._connect(contender)
        work = case.work()
        if contender.connections > 1:
            return lambda shares: self.each(contender, work, shares)
        if contender.is_async:
            run = self._task(contender).run
            return lambda prepared=None: run(lambda: work(prepared))
        return lambda prepared=None: work(prepared)

    def run(self, contender: Contender, function: Callable[[], Any]) -> Any:
        """Call a function without arguments where a contender has its connection."""
        self._connect(contender)
        return self._task(contender).run(function) if contender.is_async else function()

    def each(
        self, contender: Contender, function: Callable[[Any], Any], shares: Sequence[Any]
    ) -> list[Any]:
        """Call a function with each share, at once, in tasks or threads of a contender."""
        if contender.is_async:
            return self._task(contender).each(function, shares)
        if contender.connections not in self._threads:
            self._threads[contender.connections] = Threads(contender.connections)
        return self._threads[contender.connections].each(function, shares)

    def close(self) -> None:
        """Close all connections, threads and event loops."""
        for contender in self._open:
            self._task(contender).run(contender.close)
        for each in (*self._threads.values(), *self._tasks.values()):
            each.close()

    def _connect(self, contender: Contender) -> None:
        if contender not in self._open:
            self._task(contender).run(contender.open)
            self._open.append(contender)

    def _task(self, contender: Contender) -> Task:
        new_loop = contender.new_loop
        if new_loop not in self._tasks:
            self._tasks[new_loop] = Task(new_loop)
        return self._tasks[new_loop]


def _seconds(function: Callable[[], Any]) -> float:
    begun = perf_counter()
    function()
    return perf_counter() - begun


def _once_in(calls: int, function: Callable[[], Any]) -> Callable[[], None]:
    """Return a function whose first call of so many calls another; the others do nothing.

    pytest-benchmark divides a round's time by its calls. To enter and leave the event loop for
    each short query would be a good part of the time.
    """
    turns = cycle(range(calls))

    def call() -> None:
        if next(turns) == 0:
            function()

    return call
