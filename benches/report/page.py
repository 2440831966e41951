"""The page that is written about a run, in Markdown."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from benches.report import concurrent, operations, rates, round_trips
from benches.report.run import Run
from benches.report.table import table
from benches.report.targets import TARGETS


def page(run: Run, plots: dict[str, Path | None]) -> str:
    """Return a page with the targets, the plots, what is compared, and the times."""
    return (
        "\n\n".join(
            [
                f"# {run.name}",
                ", ".join(f"{name} {version}" for name, version in run.versions.items()),
                ", ".join(str(each) for each in run.machine.values()),
                *_targets(run),
                *(f"![{title}]({file.name})" for title, file in plots.items() if file),
                *_compared(run),
                *_times(run),
                *_others(run),
            ]
        )
        + "\n"
    )


def _targets(run: Run) -> Iterable[str]:
    if targets := TARGETS.get(run.suite):
        yield "## Targets"
        what = "at 10,000 rows" if run.suite == "queries" else ""
        yield table(
            [what, "measured", "target", "stretch", "met"],
            (target.cells(run) for target in targets),
        )


def _compared(run: Run) -> Iterable[str]:
    compared = (module.tables(run) for module in (operations, rates, concurrent, round_trips))
    for title, (head, *rows) in chain.from_iterable(compared):
        yield f"## {title}"
        yield table(head, rows)


def _times(run: Run) -> Iterable[str]:
    for rows in run.distinct("rows"):
        unit, second = ("ms", 1e-3) if rows >= 1000 else ("µs", 1e-6)
        contenders = run.distinct("contender", rows=rows)
        yield f"## {rows:,} row{'s' if rows > 1 else ''}, {unit}"
        yield table(
            ["", *contenders],
            (
                [
                    f"{name} {shape}",
                    *(_time(run.time(name, shape, rows, each), second) for each in contenders),
                ]
                for name, shape in run.cases(rows)
            ),
        )


def _others(run: Run) -> Iterable[str]:
    rows = [
        [", ".join(filter(None, [each["measured"], _subject(each)])), each["contender"], value]
        for each in run.benchmarks
        for value in _other_values(each)
    ]
    if rows:
        yield "## Not times"
        yield table(["", "contender", ""], rows)


def _subject(benchmark: dict[str, Any]) -> str:
    names = (benchmark.get(name) for name in ("table", "shape", "operation"))
    return " ".join(filter(None, names))


def _other_values(benchmark: dict[str, Any]) -> Iterable[str]:
    """Return what a benchmark has measured beside time, in words."""
    if "bytes_per_row" in benchmark:
        yield f"{benchmark['bytes_per_row']:,.0f} bytes a row"
    if "python_calls" in benchmark:
        yield f"{benchmark['python_calls']:,.0f}"
    if "shapes" in benchmark:
        yield f"{benchmark['bytes']:,.0f} bytes for {benchmark['shapes']:,}"
    if "lists" in benchmark:
        yield f"{benchmark['bytes']:,.0f} bytes more after {benchmark['lists']:,}"
    if "longest_pause" in benchmark:
        yield f"{benchmark['longest_pause'] * 1e3:,.1f} ms"
    if "with_turns" in benchmark:
        times = (benchmark[name] * 1e3 for name in ("with_turns", "without_turns"))
        yield "{:,.0f} ms with, {:,.0f} ms without".format(*times)


def _time(seconds: float | None, unit: float) -> str:
    if seconds is None:
        return ""
    time = seconds / unit
    return f"{time:,.0f}" if time >= 100 else f"{time:.3g}"
