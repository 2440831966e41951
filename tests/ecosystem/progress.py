"""What is seen of a run: a bar while it goes on, what fails, and a table of what came of it."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.ecosystem.suite import DJANGO, Suite

COLUMNS = ("passed", "failed", "skipped", "listed", "new")


def print_failures(console: Console, suite: Suite) -> None:
    """Print what differs from Django, and what is wrong besides."""
    for test, detail in suite.failures.items():
        console.rule(f"[red]{suite.mode}: {escape(test)}", align="left")
        console.print(escape(detail.rstrip()), highlight=False)
    for error in suite.errors:
        console.rule(f"[red]{suite.mode}", align="left")
        console.print(escape(error), highlight=False)
    if suite.mode != DJANGO:
        console.print(
            f"cursors on async connections: {suite.async_cursors:,}; sync ones while an async "
            f"operation ran: {suite.sync_cursors}; hydrated twice: {suite.results:,} results, "
            f"{suite.rows:,} rows, {suite.differences} differences"
        )


def print_table(console: Console, suites: Iterable[Suite]) -> None:
    """Print a line for each suite."""
    table = Table()
    for name in ("package", "mode"):
        table.add_column(name)
    for name in (*COLUMNS, "seconds"):
        table.add_column(name, justify="right")
    for suite in suites:
        numbers = [str(suite.counts[name] or "·") for name in COLUMNS]
        table.add_row(suite.package, suite.mode, *numbers, f"{suite.seconds:.0f}")
    console.print(table)
