"""What a benchmark measures: a contender that asks for so many rows of a table, in a shape."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from benches.contenders.contender import Contender, Query
from benches.shape import INSTANCES, SELECT_RELATED, VALUES, VALUES_LIST, Shape
from benches.tables.models import Columns32, Narrow, Text, Wide

ROWS = (1, 20, 100, 1_000, 10_000, 100_000)

LISTS: list[tuple[type[Model], Shape]] = [
    (Narrow, INSTANCES),
    (Narrow, VALUES),
    (Narrow, VALUES_LIST),
    (Wide, INSTANCES),
    (Wide, VALUES),
    (Wide, VALUES_LIST),
    (Wide, SELECT_RELATED),
    (Text, INSTANCES),
    (Columns32, INSTANCES),
]


@dataclass(frozen=True)
class Case:
    """A table, a shape, a number of rows, and who asks."""

    model: type[Model]
    shape: Shape
    rows: int
    contender: Contender

    @property
    def table(self) -> str:
        """The table's name in the report."""
        return self.model.__name__.lower()

    def __str__(self) -> str:
        shape = self.shape.name.removesuffix("()")
        return f"{self.table}-{shape}-{self.rows}rows-{self.contender.name.replace(' ', '-')}"

    def query(self) -> Query:
        """Return a function that asks for the rows."""
        return self.contender.query(self.model, self.shape, self.rows)

    def tuples(self, results: list[Any]) -> list[tuple[Any, ...]]:
        """Return the results in the form in which those of all contenders are compared."""
        return self.contender.tuples(self.model, self.shape, results)

    def describe(self, benchmark: Any, measured: str = "time") -> None:
        """Name a benchmark after the contender, and its group after what is asked for."""
        rows = f"{self.rows:,} row{'s' if self.rows > 1 else ''}"
        group = [f"{self.table} {self.shape.name}", rows, self.contender.source]
        if measured != "time":
            group.append(measured)
        benchmark.group = ", ".join(filter(None, group))
        benchmark.name = self.contender.name
        benchmark.extra_info |= {
            "measured": measured,
            "table": self.table,
            "shape": self.shape.name,
            "rows": self.rows,
            "contender": self.contender.name,
        }


def lists(contenders: Sequence[Contender]) -> Iterable[Case]:
    """Return the cases of lists of rows, contenders side by side."""
    return [
        Case(model, shape, rows, contender)
        for model, shape in LISTS
        for rows in ROWS
        for contender in contenders
    ]
