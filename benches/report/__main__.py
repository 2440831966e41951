"""``python -m benches.report FILE…`` reports on runs.

A file is what ``--benchmark-json`` wrote, whose suites are recorded in ``benches/results/`` first,
or such a record. A page and its plots are written beside the record; the page is printed, too.
A part of what a record of the day has does not replace it, and is printed alone.
"""

import argparse
from pathlib import Path

from benches.report.page import page
from benches.report.plots import plot_operations, plot_rates, plot_rows, plot_shapes
from benches.report.plots_of_waiting import plot_distances, plot_statements
from benches.report.run import RESULTS, Run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.report", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    for file in parser.parse_args().files:
        for run in Run.read(file):
            report(run, file.parent if run.is_recorded else RESULTS)


def report(run: Run, directory: Path) -> None:
    """Record a run, write its page and its plots, and print the page."""
    if not run.is_recorded:
        if run.is_part_of_a_record(directory):
            print(page(run, {}))
            return
        run.record(directory)
    plots = {
        "Small operations": plot_operations(run, directory / f"{run.name}-operations.svg"),
        "Rows a second": plot_rates(run, directory / f"{run.name}.svg"),
        "Time per row": plot_rows(run, directory / f"{run.name}-rows.svg"),
        "10,000 rows": plot_shapes(run, directory / f"{run.name}-shapes.svg"),
        "Statements a second": plot_statements(run, directory / f"{run.name}.svg"),
        "Time by round trip": plot_distances(run, directory / f"{run.name}.svg"),
    }
    text = page(run, plots)
    (directory / f"{run.name}.md").write_text(text)
    print(text)


main()
