"""The part of docs/benchmarks.md that is about a suite whose tables are compared with targets."""

from collections.abc import Iterable, Iterator

from benches.report.provenance import provenance
from benches.report.run import Run
from benches.report.table import table
from benches.report.targets import TARGETS


def paragraphs(
    runs: Iterable[Run],
    introduction: str,
    plot: str,
    tables: Iterable[tuple[str, list[list[str]]]],
) -> Iterator[str]:
    """Yield what the suite is about, its targets, its plot, and a table under each title."""
    runs = [*runs]
    yield introduction.strip()
    for run in runs:
        yield provenance(run.name, run.date, run.machine, run.versions)
    yield table(
        ["", "measured", "target", "stretch", "met"],
        (target.cells(run) for run in runs for target in TARGETS[run.suite]),
    )
    yield plot
    for title, (head, *rows) in tables:
        yield f"### {title}"
        yield table(head, rows)
