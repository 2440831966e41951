"""A record evaluated: medians over its rounds, and how far the rounds are apart."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """An application with a contender, an endpoint, and the number of clients."""

    application: str
    contender: str
    endpoint: str
    clients: int


@dataclass(frozen=True)
class Result:
    """A record, and answers to questions about it."""

    record: dict[str, Any]

    @classmethod
    def read(cls, file: Path) -> Result:
        """Return the result of a record that was written."""
        return cls(json.loads(file.read_text()))

    @cached_property
    def _cells(self) -> dict[Cell, list[dict[str, Any]]]:
        cells: dict[Cell, list[dict[str, Any]]] = defaultdict(list)
        for each in self.record["measurements"]:
            cells[Cell(*(each[name] for name in Cell._fields))].append(each)
        return dict(cells)

    def distinct(self, name: str, **wanted: Any) -> list[Any]:
        """Return the values of a part of the cells, in the order of the run."""
        found = (
            cell
            for cell in self._cells
            if all(getattr(cell, key) == value for key, value in wanted.items())
        )
        values = dict.fromkeys(getattr(cell, name) for cell in found)
        return sorted(values) if name == "clients" else list(values)

    def median(self, cell: Cell, what: str) -> float | None:
        """Return the median of a measure over the rounds, or ``None`` if it was not measured."""
        found = [each.get(what) for each in self._cells.get(cell, ())]
        values = [value for value in found if value is not None]
        return median(values) if values else None

    def spread(self, cell: Cell, what: str) -> float:
        """Return how far the rounds are from the median at most, as a part of it."""
        middle = self.median(cell, what)
        values = [each[what] for each in self._cells.get(cell, ())]
        return max(abs(value - middle) for value in values) / middle if middle else 0.0

    def errors(self, cell: Cell) -> int:
        """Return the number of errors in all rounds."""
        return sum(sum(each["errors"].values()) for each in self._cells.get(cell, ()))

    def memory(self, application: str, contender: str, clients: int) -> tuple[float, float] | None:
        """Return the MB of a server and of its backends, at the endpoint that takes most."""
        found = [
            (each["server"], each["backends"])
            for cell, all_rounds in self._cells.items()
            if cell[:2] == (application, contender) and cell.clients == clients
            for each in all_rounds
            if each["server"] is not None and each["backends"] is not None
        ]
        return max(found, key=sum, default=None)

    def most(self, application: str, contender: str, clients: int, what: str) -> float | None:
        """Return the largest number of threads or of connections, or of MB that were added."""
        found = [
            each[what]
            for cell, all_rounds in self._cells.items()
            if cell[:2] == (application, contender) and cell.clients == clients
            for each in all_rounds
            if each.get(what) is not None
        ]
        return max(found, default=None)
