"""An operation on a journal, done by a contender's ten tasks or threads at once."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from benches.harness.case import Case
from benches.harness.harness import Harness
from benches.orm_ops.contenders.contender import Contender
from benches.orm_ops.contenders.django_sync import DjangoSync
from benches.orm_ops.operation import Kind, Operation
from benches.orm_ops.tables import Tables
from benches.orm_ops.work import ROWS

DJANGO_SYNC = DjangoSync()

_TABLES = Tables()


@dataclass(frozen=True)
class Shared(Case):
    """An operation whose rows are shared out among tasks or threads."""

    model: type[Model]
    operation: Operation
    contender: Contender

    reference = DJANGO_SYNC
    measured = "rate"
    rounds = 5
    warm_ups = 0

    def __str__(self) -> str:
        parts = (self.model.__name__, self.operation.letter, self.contender.name)
        return "-".join(parts).replace(" ", "-")

    @property
    def group(self) -> str:
        return f"{self.model.__name__} {self.operation}, {self.operation.rows:,} rows"

    @property
    def subject(self) -> dict[str, Any]:
        return {
            "model": self.model.__name__,
            "operation": str(self.operation),
            "rows": self.operation.rows,
        }

    def prepare(self, harness: Harness) -> list[Sequence[Any]]:
        """Have the table as the operation expects it, and return the shares of the work."""
        if self.operation.kind is Kind.INSERT:
            _TABLES.empty(self.model)
            return self.operation.shares()
        _TABLES.fill(self.model)
        if self.operation.kind is Kind.READ:
            return self.operation.shares()
        _TABLES.spoil(self.model)
        instances, journal = self.contender.instances, self._journal
        (found,) = harness.each(self.contender, lambda rows: instances(journal, rows), [ROWS])
        return self.operation.shares(found)

    def work(self) -> Callable[[Any], Any]:
        """Return the function of a share. Of what it reads it returns the number of rows."""
        method, journal = self._method, self._journal
        if self.operation.kind is not Kind.READ:
            return lambda share: method(journal, share)
        count = _count_async if self.contender.is_async else _count
        return lambda share: count(method(journal, share))

    def answer(self, harness: Harness) -> list[Any]:
        """Return the rows that the operation leaves, or those that one task has read."""
        shares = self.prepare(harness)
        if self.operation.kind is not Kind.READ:
            harness.call(self)(shares)
            return _TABLES.rows(self.model, with_keys=self.operation.kind is Kind.CHANGE)
        method, journal = self._method, self._journal
        collect: Any = _collect_async if self.contender.is_async else list
        (results,) = harness.each(
            self.contender, lambda share: collect(method(journal, share)), shares[:1]
        )
        return [values for rows in results for values in self.contender.values(self.model, rows)]

    def finish(self, harness: Harness, result: list[Any]) -> None:
        if self.operation.kind is Kind.READ:
            assert sum(result) == self.operation.rows

    @property
    def _method(self) -> Callable[[Any, Any], Any]:
        return getattr(self.contender, self.operation.method)

    @property
    def _journal(self) -> Any:
        return self.contender.journal(self.model)


async def _count_async(results: AsyncIterator[list[Any]]) -> int:
    count = 0
    async for rows in results:
        count += len(rows)
    return count


def _count(results: Iterator[list[Any]]) -> int:
    return sum(len(rows) for rows in results)


async def _collect_async(results: AsyncIterator[list[Any]]) -> list[list[Any]]:
    return [rows async for rows in results]
