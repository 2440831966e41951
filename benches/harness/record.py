"""What a benchmark says of itself in pytest-benchmark's JSON, from which the report is made."""

from typing import Any

from benches.harness.case import Case

#: The key under which the record has the least time of a pacer's rounds.
PACER = "psycopg"


def describe(benchmark: Any, case: Case, measured: str) -> None:
    """Name a benchmark after its contender, and write what it measures of what."""
    of = case.size if measured == case.measured else measured
    benchmark.group = ", ".join(filter(None, [case.group, of]))
    benchmark.name = case.contender.name
    benchmark.extra_info |= {
        "measured": measured,
        **case.subject,
        "contender": case.contender.name,
    }


def add(benchmark: Any, **figures: Any) -> None:
    """Write figures beside the times."""
    benchmark.extra_info |= figures
