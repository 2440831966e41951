"""A composed operation, done over and over by a contender."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import Model

from benches.harness.case import Case
from benches.harness.contender import Contender
from benches.harness.harness import Harness
from benches.small.composed import shelf
from benches.small.composed.operations import Composed
from benches.small.composed.orms import DjangoAsync, Orm
from benches.small.composed.replay import Psycopg, statements

CALLS = 10
CHECKED = 4

DJANGO_ASYNC = DjangoAsync()
PSYCOPG = Psycopg()


@dataclass(frozen=True)
class Calls(Case):
    """So many calls of an operation, in rounds that alternate with psycopg's."""

    operation: Composed
    contender: Contender

    reference = DJANGO_ASYNC
    measured = "calls"
    rounds = 40
    #: How many calls a round is.
    calls = CALLS

    def __str__(self) -> str:
        return f"{self.operation}-{self.contender.name}".replace(",", "").replace(" ", "-")

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
        return self.by(PSYCOPG)

    def prepare(self, harness: Harness) -> list[Any]:
        """Return the argument of each call: an instance, or the statements of psycopg."""
        if self.operation.writes:
            shelf.restore()
        return [self._given(n) for n in range(self.calls)]

    def _given(self, n: int) -> Any:
        given = self.operation.given
        return None if given is None else given(n)

    def work(self) -> Callable[[Any], Any]:
        contender = self.contender
        if isinstance(contender, Psycopg):
            if self.operation.writes:
                shelf.restore()
            replay = contender.replay
            executed = [statements(self.operation, n, self._given(n)) for n in range(self.calls)]

            async def repeat(prepared: Any) -> None:
                for each in executed:
                    await replay(each)

            return repeat

        call = self._call()

        async def repeat_call(prepared: list[Any]) -> None:
            for n, given in enumerate(prepared):
                await call(n, given)

        return repeat_call

    def _call(self) -> Callable[[int, Any], Any]:
        """Return what calls the operation: one for all managers of Django's, or a method."""
        if isinstance(self.contender, Orm):
            return partial(self.operation.call, self.contender)
        call: Callable[[int, Any], Any] = getattr(self.contender, method(self.operation))
        return call

    def answer(self, harness: Harness) -> list[Any]:
        if isinstance(self.contender, Psycopg):
            # Its statements are those that Django executes for the expected answer.
            return self.by(DJANGO_ASYNC).answer(harness)
        self._fill()
        return [self._answer(harness, n) for n in range(CHECKED)]

    def _answer(self, harness: Harness, n: int) -> Any:
        """Return what a call finds, and what it leaves."""
        call, given = self._call(), self._given(n)
        # A statement is traced when it is asked for the second time, and cached from then on.
        for _ in range(1 if self.operation.writes else 3):
            found = harness.run(self.contender, lambda: call(n, given))
        plain = getattr(self.contender, "plain", _plain)
        return plain(found), shelf.left() if self.operation.writes else None

    def _fill(self) -> None:
        """Fill the tables, anew if an operation before may have written to them."""
        if self.operation.writes:
            shelf.refill()
        else:
            shelf.fill()

    def finish(self, harness: Harness, result: Any) -> None:
        if self.operation.writes:
            shelf.refill()


def method(operation: Composed) -> str:
    """Return the name of the method of contenders that are not over Django's models."""
    return operation.name.replace(",", "").replace(" ", "_")


def _plain(found: Any) -> Any:
    """Return a result in a form in which those of all contenders can be compared."""
    if isinstance(found, Model):
        columns = [getattr(found, field.attname) for field in found._meta.concrete_fields]
        cache = getattr(found, "_prefetched_objects_cache", {})
        # Keys of new rows are the server's.
        columns[0] = min(columns[0] or 0, 1_000_000)
        return [*columns, *(_plain(list(each)) for each in cache.values())]
    if isinstance(found, dict):
        return {key: _plain(each) for key, each in found.items()}
    if isinstance(found, list | tuple):
        return [_plain(each) for each in found]
    return found
