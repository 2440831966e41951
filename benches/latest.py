"""The latest records, from which the documentation is written."""

from collections.abc import Iterator
from pathlib import Path

from benches.report.run import RESULTS, Run
from benches.report.targets import TARGETS


def latest(suite: str) -> Path:
    """Return the file of a suite's latest record that has a figure for each target."""
    return max(_whole(suite))


def recorded(suite: str) -> Run | None:
    """Return the run of this record, or ``None`` if there is no record yet."""
    file = max(_whole(suite), default=None)
    return None if file is None else Run.read(file)[0]


def _whole(suite: str) -> Iterator[Path]:
    return (file for file in RESULTS.glob(f"{suite}-*.json") if _is_whole(suite, file))


def _is_whole(suite: str, file: Path) -> bool:
    if suite not in TARGETS:
        return True
    (run,) = Run.read(file)
    return all(target.measure(run) is not None for target in TARGETS[suite])
