"""A run of one suite: what pytest-benchmark wrote, trimmed to what a comparison needs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Where records are.
RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Run:
    """The measurements of a suite, with the versions and the machine that they belong to."""

    suite: str
    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    benchmarks: list[dict[str, Any]]
    is_recorded: bool = False

    @classmethod
    def read(cls, file: Path) -> list[Run]:
        """Return the runs of a file: one that was recorded, or the suites of a fresh one."""
        data = json.loads(file.read_text())
        if "suite" in data:
            return [cls(**data, is_recorded=True)]
        machine = data["machine_info"]
        versions = machine.pop("versions")
        suites: dict[str, list[dict[str, Any]]] = {}
        for benchmark in data["benchmarks"]:
            _, suite, _ = benchmark["fullname"].split("/", 2)
            suites.setdefault(suite, []).append(_trimmed(benchmark))
        return [
            cls(suite, data["datetime"][:10], machine, versions, benchmarks)
            for suite, benchmarks in suites.items()
        ]

    @property
    def name(self) -> str:
        """What the run's files are called."""
        return f"{self.suite}-{self.date}"

    def record(self, directory: Path) -> None:
        """Write the run to a file of its own, a benchmark a line."""
        *lines, last = (json.dumps(benchmark) for benchmark in self.benchmarks)
        head = json.dumps(
            {
                "suite": self.suite,
                "date": self.date,
                "machine": self.machine,
                "versions": self.versions,
            },
            indent=1,
        )
        body = "".join(f"  {line},\n" for line in lines) + f"  {last}\n"
        self._file(directory).write_text(
            head.removesuffix("\n}") + f',\n "benchmarks": [\n{body} ]\n}}\n'
        )

    def is_part_of_a_record(self, directory: Path) -> bool:
        """Return whether the record of the day has benchmarks that this run has not."""
        file = self._file(directory)
        if not file.exists():
            return False
        (record,) = Run.read(file)
        return not record._subjects() <= self._subjects()

    def _file(self, directory: Path) -> Path:
        return directory / f"{self.name}.json"

    def _subjects(self) -> set[str]:
        """Return the subjects of the benchmarks, without their figures."""
        return {str({name: each.get(name) for name in _SUBJECT}) for each in self.benchmarks}

    def time(self, table: str, shape: str, rows: int, contender: str) -> float | None:
        """Return the seconds that a contender's query takes at least."""
        found = self._found(
            measured="time", table=table, shape=shape, rows=rows, contender=contender
        )
        return found["min"] if found else None

    def over_received(self, table: str, shape: str, rows: int, contender: str) -> float | None:
        """Return its time divided by that of receiving the rows, in alternating rounds."""
        found = self._found(
            measured="time", table=table, shape=shape, rows=rows, contender=contender
        )
        return found["min"] / found["psycopg"] if found and "psycopg" in found else None

    def rate(self, model: str, operation: str, contender: str) -> float | None:
        """Return the rows a second that a contender has had in its best round."""
        found = self._found(measured="rate", model=model, operation=operation, contender=contender)
        return found["rows"] / found["min"] if found else None

    def call(self, operation: str, contender: str) -> float | None:
        """Return the seconds that a small operation takes a contender in its best round."""
        found = self._found(measured="calls", operation=operation, contender=contender)
        return found["min"] / found["calls"] if found else None

    def over_psycopg(self, operation: str, contender: str) -> float | None:
        """Return its time divided by that of psycopg, whose rounds alternated with its own."""
        found = self._found(measured="calls", operation=operation, contender=contender)
        return found["min"] / found["psycopg"] if found else None

    def over_django(self, operation: str, contender: str) -> float | None:
        """Return its time in sync code divided by that of Django, in alternating rounds."""
        found = self._found(measured="sync calls", operation=operation, contender=contender)
        return found["min"] / found["psycopg"] if found else None

    def extra(self, name: str, **wanted: Any) -> float | None:
        """Return what the first benchmark of this kind has measured beside time."""
        found = self._found(**wanted)
        return found[name] if found else None

    def times(self) -> Iterable[dict[str, Any]]:
        """Return the benchmarks that measure time alone."""
        return (each for each in self.benchmarks if each["measured"] == "time")

    def distinct(self, name: str, measured: str = "time", **wanted: Any) -> list[Any]:
        """Return the values of an attribute among benchmarks, in the order of the run."""
        wanted["measured"] = measured
        found = (each[name] for each in self.benchmarks if _matches(each, wanted))
        return list(dict.fromkeys(found))

    def cases(self, rows: int) -> list[tuple[str, str]]:
        """Return the tables and shapes whose queries of so many rows are timed."""
        cases = ((each["table"], each["shape"]) for each in self.times() if each["rows"] == rows)
        return list(dict.fromkeys(cases))

    def _found(self, **wanted: Any) -> dict[str, Any] | None:
        return next((each for each in self.benchmarks if _matches(each, wanted)), None)


_SUBJECT = (
    "measured",
    "model",
    "table",
    "shape",
    "operation",
    "rows",
    "loop",
    "round_trip",
    "contender",
)


def _matches(benchmark: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return wanted.items() <= benchmark.items()


def _trimmed(benchmark: dict[str, Any]) -> dict[str, Any]:
    stats = benchmark["stats"]
    return {
        **benchmark["extra_info"],
        "min": float(f"{stats['min']:.5g}"),
        "median": float(f"{stats['median']:.5g}"),
        "rounds": stats["rounds"],
    }
