"""What a benchmark measures: a contender that does an operation on a journal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from benches.orm_ops.contenders.contender import Contender
from benches.orm_ops.operation import Operation


@dataclass(frozen=True)
class Trial:
    """A journal, an operation, and who does it."""

    model: type[Model]
    operation: Operation
    contender: Contender

    def __str__(self) -> str:
        names = (self.model.__name__, self.operation.letter, self.contender.name)
        return "-".join(names).replace(" ", "-")

    @property
    def method(self) -> Callable[[Any, Any], Any]:
        """What the contender does with a journal and a share of the work."""
        return getattr(self.contender, self.operation.method)

    def describe(self, benchmark: Any) -> None:
        """Name a benchmark after the contender, and its group after what is done."""
        benchmark.group = f"{self.model.__name__} {self.operation}, {self.operation.rows:,} rows"
        benchmark.name = self.contender.name
        benchmark.extra_info |= {
            "measured": "rate",
            "model": self.model.__name__,
            "operation": str(self.operation),
            "rows": self.operation.rows,
            "contender": self.contender.name,
        }
