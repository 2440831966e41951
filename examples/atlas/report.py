"""A run of the tour, as a table for people and as a document for programs."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from atlas.race import BULK_ROWS, Finding

LEAST_RATIO = 2.0
_MARK = "◆"


def bulk_fast_enough(findings: Sequence[Finding]) -> bool | None:
    """Tell whether every large read met the ratio; None if the run had no large read."""
    ratios = [finding.ratio for finding in findings if finding.bulk]
    return min(ratios) >= LEAST_RATIO if ratios else None


def document(findings: Sequence[Finding], versions: dict[str, str]) -> dict[str, Any]:
    """Return the run as plain data; times are in seconds."""
    return {
        "versions": versions,
        "questions": [
            {
                "question": finding.question.text,
                "methods": finding.question.methods,
                "rows": finding.rows,
                "bulk": finding.bulk,
                "django_seconds": round(finding.django, 6),
                "turbo_seconds": round(finding.turbo, 6),
                "ratio": round(finding.ratio, 2),
                "same": finding.same,
                "difference": finding.difference,
            }
            for finding in findings
        ],
        "same": all(finding.same for finding in findings),
        "bulk": {
            "rows": BULK_ROWS,
            "least_ratio": LEAST_RATIO,
            "reached": bulk_fast_enough(findings),
        },
    }


def print_finding(console: Console, number: int, finding: Finding) -> None:
    """Print one question with its first answers, as soon as it is answered."""
    question = finding.question
    console.print(f"[bold]{number}. {question.text}[/]  [dim]{escape(question.methods)}[/]")
    for line in finding.first:
        console.print(Text(f"   {line}"), no_wrap=True, overflow="ellipsis")
    if finding.difference is not None:
        console.print(Text(f"   The answers differ: answer{finding.difference}", style="red"))
    console.print()


def print_table(console: Console, findings: Sequence[Finding], versions: dict[str, str]) -> None:
    """Print all questions with their times, and what they amount to."""
    table = Table(box=box.SIMPLE_HEAD, caption_justify="left")
    table.add_column("Question")
    for title in ("Rows", "Django's\nown async", "turbo-orm", "Ratio"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Same\nanswer", no_wrap=True)
    for number, finding in enumerate(findings, 1):
        table.add_row(
            f"{number}. {finding.question.text}",
            f"{_MARK + ' ' if finding.bulk else ''}{finding.rows:,}",
            _milliseconds(finding.django),
            _milliseconds(finding.turbo),
            f"{finding.ratio:.1f}×",
            "yes" if finding.same else "[bold red]NO[/]",
        )
    console.print(table)
    console.print(
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        soft_wrap=True,
    )
    console.print(f"Same answer to every question: {_yes(all(f.same for f in findings))}")
    console.print(
        f"{_MARK} Every read of {BULK_ROWS:,} rows or more at least {LEAST_RATIO}× as fast: "
        f"{_yes(bulk_fast_enough(findings))}"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def _yes(verdict: bool | None) -> str:
    return {True: "[green]yes[/]", False: "[red]no[/]", None: "no such read in this run"}[verdict]
