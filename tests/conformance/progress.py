"""What is seen of a run: a bar while it goes on, what fails, and tables of what has come of it."""

from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from tests.conformance.part import DJANGO, Part

#: The numbers of a table, by the outcomes that are counted.
COLUMNS = {
    "tests": "tests",
    "passed": "passed",
    "skipped": "skipped by Django",
    "in Django": "fails in Django, too",
    "listed": "listed",
    "unexpected": "unexpected",
}


class Display:
    """The bar of a part, and what is printed above it."""

    def __init__(self, console: Console, part: Part) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[test]}"),
            console=console,
        )
        self._task = self._progress.add_task(part.name, total=0, test="")
        self._total = 0
        # What fails in Django alone is no news.
        self._is_loud = part.mode != DJANGO

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._progress.update(self._task, test="")
        self._progress.stop()

    def heard(self, event: dict[str, Any]) -> None:
        """Show an event of a worker."""
        if "tests" in event:
            self._total += event["tests"]
            self._progress.update(self._task, total=self._total)
        if "outcome" in event:
            self._progress.update(self._task, advance=1, test=escape(event["test"].split(".")[0]))
            if not event["expected"] and self._is_loud:
                self.console.print(f"[red]{event['outcome']}[/] {escape(event['test'])}")


def print_part(console: Console, part: Part, has_reasons: bool = False) -> None:
    """Print a part's labels, what has failed, and what is wrong besides.

    With ``has_reasons`` each reason why the query cache was bypassed is printed.
    """
    table = Table(title=f"{part.name}, {part.mode}", title_justify="left")
    table.add_column("label")
    columns = [name for name in COLUMNS if name != "in Django" or part.variant]
    for name in columns:
        table.add_column(COLUMNS[name], justify="right")
    for label in part.labels:
        counts = part.counts.get(label, {})
        table.add_row(label, *(_number(counts.get(name, 0)) for name in columns))
    table.add_section()
    table.add_row("all", *(_number(part.totals[name]) for name in columns))
    console.print(table)
    for test, detail in part.failures.items():
        console.rule(f"[red]{escape(test)}", align="left")
        console.print(escape(detail.rstrip()), highlight=False)
    for error in part.errors:
        console.rule("[red]a process has failed", align="left")
        console.print(escape(error), highlight=False)
    console.print(
        f"cursors on async connections: {part.async_cursors:,}; "
        f"sync ones while an async operation ran: {part.sync_cursors}"
    )
    if part.requests:
        console.print(f"requests answered by turbo-orm's handlers: {part.requests:,}")
    if part.look_ups:
        _print_look_ups(console, part.look_ups, has_reasons)
    if part.is_twice:
        console.print(
            f"hydrated twice: {part.results:,} results, {part.rows:,} rows, "
            f"{part.differences} differences"
        )


def _print_look_ups(console: Console, look_ups: Counter[str], has_reasons: bool) -> None:
    bypasses = look_ups.copy()
    hits, misses = bypasses.pop("hits", 0), bypasses.pop("misses", 0)
    console.print(
        f"look-ups in the query cache: {hits:,} hits, {misses:,} misses, "
        f"{bypasses.total():,} bypasses"
    )
    for reason, number in bypasses.most_common() if has_reasons else ():
        console.print(f"{number:>8,}  {escape(reason)}", highlight=False, soft_wrap=True)


def _number(value: int) -> str:
    return str(value) if value else "·"
