"""The results of statements that were sent to libpq: what is one, and what an error says."""

from __future__ import annotations

from typing import Any

from psycopg.pq import DiagnosticField, ExecStatus

from turbo_orm.driver.connection import AsyncConnection

#: The states of a result that is no error.
WANTED = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})
#: Of an error: where in what was sent.
POSITION = DiagnosticField.STATEMENT_POSITION


def is_as_if_alone(results: list[Any]) -> bool:
    """Remove the result of BEGIN, and return whether the statement's is as if it was sent alone.

    It is not where BEGIN has failed, or the server could not even read both; and an error that
    says where in the statement it is counts from the BEGIN. Such an error is found before anything
    is executed, so the statement may be sent again.
    """
    del results[0]
    return bool(results) and results[-1].error_field(POSITION) is None


def first(results: list[Any], driver: AsyncConnection) -> Any:
    """Return the first of several results, or raise for what is none, as psycopg's cursor does."""
    cursor: Any = driver.cursor_factory(driver)
    cursor._check_results(results)
    cursor.pgresult = results[0]
    return (
        cursor.pgresult if cursor.pgresult.status in WANTED else cursor._check_result_for_fetch()
    )
