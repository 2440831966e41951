"""Somebody who answers the same queries as the others, on a single connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.db.models import Model

from benches.shape import Shape

type Query = Callable[[], Awaitable[list[Any]]] | Callable[[], list[Any]]


class Contender:
    """One way to ask for the first rows of a table, in one shape or another."""

    name: str
    # Whether a query is a coroutine function.
    is_async = True
    # What its rows come from, if not from a query.
    source = ""

    async def open(self) -> None:
        """Connect, unless the first query does."""

    async def close(self) -> None:
        """Close the connection, unless somebody else does."""

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        """Return a function that asks for the first rows, from the queryset to the results."""
        raise NotImplementedError

    def tuples(
        self, model: type[Model], shape: Shape, results: list[Any]
    ) -> list[tuple[Any, ...]]:
        """Return the results in the form in which those of all contenders are compared."""
        return shape.tuples(model, results)
