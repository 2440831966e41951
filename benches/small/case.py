"""A small operation, done over and over by a contender, each time with other values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benches.harness.case import Case
from benches.harness.harness import Harness
from benches.small import data
from benches.small.contenders.contender import Contender
from benches.small.contenders.drivers import Psycopg, PsycopgOnUvloop
from benches.small.contenders.orms import DjangoSync, Turbo, TurboSync
from benches.small.making import nothing_is_made
from benches.small.operation import Operation

# A round is so many calls, each with values of its own. Rounds are short and many, so that some of
# them are undisturbed by whatever else the machine does.
CALLS = 20
# How many calls are checked.
CHECKED = 6

DJANGO_SYNC = DjangoSync()
PSYCOPG = Psycopg()
PSYCOPG_ON_UVLOOP = PsycopgOnUvloop()


@dataclass(frozen=True)
class Repeated(Case):
    """So many calls of an operation, in rounds that alternate with psycopg's on such a loop."""

    operation: Operation
    contender: Contender
    calls: int = CALLS

    reference = DJANGO_SYNC
    measured = "calls"
    rounds = 150

    def __str__(self) -> str:
        return f"{self.operation}-{self.contender.name.replace(',', '').replace(' ', '-')}"

    @property
    def group(self) -> str:
        return self.operation.name

    @property
    def size(self) -> str:
        return f"{self.calls} calls"

    @property
    def subject(self) -> dict[str, Any]:
        return {"operation": self.operation.name}

    @property
    def figures(self) -> dict[str, Any]:
        return {"calls": self.calls}

    @property
    def pacer(self) -> Case:
        is_on_uvloop = self.contender.new_loop is PSYCOPG_ON_UVLOOP.new_loop
        return self.by(PSYCOPG_ON_UVLOOP if is_on_uvloop else PSYCOPG)

    def work(self) -> Callable[[Any], Any]:
        batch = [self.operation.values(n) for n in range(self.calls)]
        call = self.contender.call(self.operation)

        async def repeat_async(prepared: None) -> None:
            for values in batch:
                await call(*values)

        def repeat(prepared: None) -> None:
            for values in batch:
                call(*values)

        return repeat_async if self.contender.is_async else repeat

    def answer(self, harness: Harness) -> list[Any]:
        data.fill()
        answers = [self._answer(harness, self.operation.values(n)) for n in range(CHECKED)]
        if self.operation.writes:
            data.restore()
        return answers

    def _answer(self, harness: Harness, values: tuple[Any, ...]) -> Any:
        """Return what a call finds, and what it leaves."""
        call = self.contender.call(self.operation)
        found = harness.run(self.contender, lambda: call(*values))
        left = data.left() if self.operation.writes else None
        return self.contender.answer(self.operation, found), left

    def check_further(self, harness: Harness) -> None:
        """Assert that turbo-orm makes no query of Django's: the statement is cached by now."""
        if isinstance(self.contender, Turbo | TurboSync):
            with nothing_is_made():
                harness.call(self)()

    def finish(self, harness: Harness, result: Any) -> None:
        if self.operation.writes:
            data.restore()


@dataclass(frozen=True)
class InSyncCode(Repeated):
    """So many calls of a sync method, in rounds that alternate with Django's."""

    measured = "sync calls"

    @property
    def pacer(self) -> Case:
        return self.by(DJANGO_SYNC)
