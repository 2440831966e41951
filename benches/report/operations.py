"""How long a small operation takes each contender, and how many times as long as psycopg."""

from collections.abc import Iterable

from benches.report.run import Run


def tables(run: Run) -> Iterable[tuple[str, list[list[str]]]]:
    """Return titles, and tables whose first rows are their heads: the quotients first."""
    operations, contenders = run.distinct("operation", "calls"), run.distinct("contender", "calls")
    for title, cell in (("Time ÷ psycopg's", quotient), ("Microseconds", microseconds)):
        if operations:
            rows = ([each, *(cell(run, each, name) for name in contenders)] for each in operations)
            yield title, [["", *contenders], *rows]


def sync_table(run: Run) -> list[list[str]]:
    """Return the table of sync code, whose first row is its head, or nothing if none was run."""
    operations = run.distinct("operation", "sync calls")
    contenders = run.distinct("contender", "sync calls")
    if not operations:
        return []
    rows = [
        [each, *(f"{run.over_django(each, name):.2f}" for name in contenders)]
        for each in operations
    ]
    return [["", *contenders], *rows]


def quotient(run: Run, operation: str, contender: str) -> str:
    """Return how many times as long as psycopg an operation takes, in words."""
    found = run.over_psycopg(operation, contender)
    return "" if found is None else f"{found:.2f}" if found < 10 else f"{found:.1f}"


def microseconds(run: Run, operation: str, contender: str) -> str:
    """Return how long it takes, in words."""
    seconds = run.call(operation, contender)
    return "" if seconds is None else f"{seconds * 1e6:,.0f}"
