"""A contender that reads the first rows of a table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.db.models import Model

from benches.harness.contender import Contender
from benches.lists.shape import Shape

type Query = Callable[[], Awaitable[list[Any]]] | Callable[[], list[Any]]


class Reader(Contender):
    """One way to query the first rows of a table, in any shape that the library has."""

    #: Where the rows come from, if not from a query.
    source = ""

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        """Return a function that reads the first rows, from the queryset to the results."""
        raise NotImplementedError

    def read(self, model: type[Model], shape: Shape, rows: int) -> Query:
        """Return a function that reads what is compared, where ``query()`` makes nothing of it."""
        return self.query(model, shape, rows)

    def tuples(
        self, model: type[Model], shape: Shape, results: list[Any]
    ) -> list[tuple[Any, ...]]:
        """Return the results in the form in which those of all contenders are compared."""
        return shape.tuples(model, results)
