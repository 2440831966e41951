"""The progress of a run: a bar with the time to go, and the last measurement."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from benches.http.measurement import Measurement
from benches.http.plan import Plan
from benches.http.result import Cell, Result
from benches.http.targets import HANDLER_TARGETS, TARGETS


class Display(Progress):
    """A progress bar over a plan's measurements; where there is no terminal, a line for each."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        endpoints = sum(len(each.endpoints(plan.endpoints)) for each in plan.sessions())
        self._task = self.add_task("", total=endpoints * len(plan.seconds))

    def measured(self, measurement: Measurement) -> None:
        """Show a measurement."""
        shown = (
            f"{measurement.contender}, {measurement.application}: {measurement.endpoint}, "
            f"{measurement.clients:,} clients, {measurement.rate:,.0f} requests/s"
        )
        self.update(self._task, advance=1, description=shown)
        if not self.console.is_terminal:
            self.console.print(shown, highlight=False)


def print_result(result: Result) -> None:
    """Print the rates and the waiting times, a table for each application, and the targets."""
    console = Console()
    for application in result.distinct("application"):
        for clients in result.distinct("clients", application=application):
            endpoints = result.distinct("endpoint", application=application)
            title = f"{application}, {clients:,} clients: requests/s (P99 in ms)"
            table = Table("", *endpoints, title=title, title_justify="left")
            for name in result.distinct("contender", application=application):
                cells = [Cell(application, name, endpoint, clients) for endpoint in endpoints]
                table.add_row(name, *(_cell(result, cell) for cell in cells))
            console.print(table)
    table = Table(
        "", "measured", "target", "stretch", "met", title="Targets", title_justify="left"
    )
    for target in [*TARGETS, *HANDLER_TARGETS]:
        what, measured, *rest = target.cells(result)
        table.add_row(what, measured.replace("**", ""), *rest)
    console.print(table)


def _cell(result: Result, cell: Cell) -> str:
    rate, p99 = (result.median(cell, what) for what in ("rate", "p99"))
    if rate is None or p99 is None:
        return ""
    errors = result.errors(cell)
    return f"{rate:,.0f} ({p99:,.0f})" + (f", {errors:,} errors" if errors else "")
