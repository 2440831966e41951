"""Where the contenders meet: each is connected once, checked, and timed in the same way."""

import asyncio
import gc
from collections.abc import Callable
from time import perf_counter
from typing import Any

from benches.small.contenders.contender import Contender
from benches.small.contenders.drivers import Psycopg, PsycopgOnUvloop
from benches.small.contenders.orms import DjangoSync, Turbo
from benches.small.data import NAMES, fill
from benches.small.making import nothing_is_made
from benches.small.models import Article
from benches.small.operation import Operation
from benches.task import Task

# A round is so many calls, each with values of its own. Rounds are short and many, so that some of
# them are left alone by whatever else the machine does.
CALLS = 20
ROUNDS = 150
# How many calls are checked.
CHECKED = 6

DJANGO_SYNC = DjangoSync()
PSYCOPG = Psycopg()
PSYCOPG_ON_UVLOOP = PsycopgOnUvloop()


class Ring:
    """A task on each kind of loop, in which contenders have their connections."""

    def __init__(self) -> None:
        self._tasks: dict[Callable[[], asyncio.AbstractEventLoop], Task] = {}
        self._opened: list[Contender] = []
        fill()

    def bench(self, benchmark: Any, operation: Operation, contender: Contender) -> None:
        """Check what a contender does, and time it: its rounds in turn with psycopg's.

        So both see the same machine. The time is that of a round.
        """
        self.check(operation, contender)
        benchmark.group = f"{operation}, {CALLS} calls"
        benchmark.name = contender.name
        is_on_uvloop = contender.new_loop is PSYCOPG_ON_UVLOOP.new_loop
        by_psycopg = self.repeated(operation, PSYCOPG_ON_UVLOOP if is_on_uvloop else PSYCOPG)
        times: list[float] = []

        def time_psycopg() -> None:
            begun = perf_counter()
            by_psycopg()
            times.append(perf_counter() - begun)

        gc.collect()
        benchmark.pedantic(
            self.repeated(operation, contender),
            setup=time_psycopg,
            rounds=ROUNDS,
            warmup_rounds=1,
        )
        benchmark.extra_info |= {
            "measured": "calls",
            "operation": operation.name,
            "contender": contender.name,
            "calls": CALLS,
            "psycopg": float(f"{min(times):.5g}"),
        }
        if operation.writes:
            fill()

    def check(self, operation: Operation, contender: Contender) -> None:
        """Assert that a contender's answers are those of Django on its sync connection.

        And that turbo-orm knows the statement: from the second call on, nothing is made for it.
        """
        for n in range(CHECKED):
            values = operation.values(n)
            answer = self._answer(operation, contender, values)
            assert answer == self._answer(operation, DJANGO_SYNC, values)
        if isinstance(contender, Turbo):
            with nothing_is_made():
                self.repeated(operation, contender, CHECKED)()

    def repeated(
        self, operation: Operation, contender: Contender, calls: int = CALLS
    ) -> Callable[[], Any]:
        """Return a function that does an operation so often."""
        batch = [operation.values(n) for n in range(calls)]
        if not contender.is_async:
            call = contender.call(operation)

            def repeat_sync() -> None:
                for values in batch:
                    call(*values)

            return repeat_sync
        # Opens its connection.
        task = self.task(contender)
        call = contender.call(operation)

        async def repeat() -> None:
            for values in batch:
                await call(*values)

        return lambda: task.run(repeat)

    def task(self, contender: Contender) -> Task:
        """Return the task in which a contender has its connection, which is open."""
        task = self._tasks.get(contender.new_loop)
        if task is None:
            task = self._tasks[contender.new_loop] = Task(contender.new_loop)
        if contender not in self._opened:
            task.run(contender.open)
            self._opened.append(contender)
        return task

    def close(self) -> None:
        """Close all connections."""
        for contender in self._opened:
            self.task(contender).run(contender.close)
        for task in self._tasks.values():
            task.close()

    def _answer(self, operation: Operation, contender: Contender, values: Any) -> Any:
        """Return what a call finds, and what it leaves."""
        if contender.is_async:
            # Opens its connection.
            task = self.task(contender)
            call = contender.call(operation)
            found = task.run(lambda: call(*values))
        else:
            found = contender.call(operation)(*values)
        left = None
        if operation.writes:
            newest = Article.threaded.order_by("-pk").values_list(*NAMES)[:1]
            words = Article.threaded.order_by("pk").values_list("words", flat=True)[:1_000]
            left = [*newest], [*words]
        return contender.answer(operation, found), left
