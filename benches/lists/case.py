"""A list: so many rows of a table, in a shape, read by a contender."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from benches.harness.case import Case
from benches.harness.harness import Harness
from benches.lists.contenders.drivers import RECEIVED
from benches.lists.contenders.orm import DJANGO_SYNC, TURBO
from benches.lists.contenders.reader import Query, Reader
from benches.lists.shape import (
    AITERATOR,
    INSTANCES,
    SELECT_RELATED,
    VALUES,
    VALUES_LIST,
    Shape,
)
from benches.tables.data import fill
from benches.tables.models import Columns32, Narrow, Text, Wide

ROWS = (1, 20, 100, 1_000, 10_000, 100_000)

# How many queries are timed together, by the number of their rows: a short one alone is noise.
QUERIES = {1: 100, 20: 50, 100: 20, 1_000: 4}
# Of so many, what is made of rows is compared with what it takes to receive them.
COMPARED = 10_000
# From so many rows on, fewer rounds have to do, and the check for a warm-up.
MANY = 100_000
ROUNDS_OF_MANY = 3

LISTS: list[tuple[type[Model], Shape]] = [
    (Narrow, INSTANCES),
    (Narrow, VALUES),
    (Narrow, VALUES_LIST),
    (Wide, INSTANCES),
    (Wide, VALUES),
    (Wide, VALUES_LIST),
    (Wide, SELECT_RELATED),
    (Wide, AITERATOR),
    (Text, INSTANCES),
    (Columns32, INSTANCES),
]


@dataclass(frozen=True)
class List(Case):
    """A round is some queries, each from the queryset to the freeing of its results."""

    model: type[Model]
    shape: Shape
    rows: int
    contender: Reader

    reference = DJANGO_SYNC

    def __str__(self) -> str:
        shape = self.shape.name.removesuffix("()")
        return f"{self.table}-{shape}-{self.rows}rows-{self.contender.name.replace(' ', '-')}"

    @property
    def table(self) -> str:
        """The table's name in the report."""
        return self.model.__name__.lower()

    @property
    def group(self) -> str:
        rows = f"{self.rows:,} row{'s' if self.rows > 1 else ''}"
        parts = (f"{self.table} {self.shape.name}", rows, self.contender.source)
        return ", ".join(filter(None, parts))

    @property
    def subject(self) -> dict[str, Any]:
        return {"table": self.table, "shape": self.shape.name, "rows": self.rows}

    @property
    def iterations(self) -> int:
        return QUERIES.get(self.rows, 1)

    @property
    def rounds(self) -> int:
        return ROUNDS_OF_MANY if self.rows >= MANY else Case.rounds

    @property
    def pacer(self) -> Case | None:
        """The receiving of the same rows, for what is compared with that."""
        is_compared = self.rows == COMPARED and self.contender is TURBO
        return self.by(RECEIVED) if is_compared else None

    @property
    def warm_ups(self) -> int:
        return 0 if self.rows >= MANY else Case.warm_ups

    def query(self) -> Query:
        """Return a function that reads the rows."""
        return self.contender.query(self.model, self.shape, self.rows)

    def work(self) -> Any:
        query: Any = self.query()
        queries = range(self.iterations)

        async def read_async(prepared: None) -> None:
            for _ in queries:
                await query()

        def read(prepared: None) -> None:
            for _ in queries:
                query()

        return read_async if self.contender.is_async else read

    def answer(self, harness: Harness) -> list[Any]:
        fill(self.model)
        read = self.contender.read(self.model, self.shape, self.rows)
        results = harness.run(self.contender, read)
        assert len(results) == self.rows
        return self.contender.tuples(self.model, self.shape, results)


def lists(contenders: Sequence[Reader]) -> Iterable[List]:
    """Return the cases of all shapes and numbers of rows, contenders side by side."""
    return [
        List(model, shape, rows, contender)
        for model, shape in LISTS
        for rows in ROWS
        for contender in contenders
    ]
