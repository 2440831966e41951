"""The statement that Django executes for an operation."""

from functools import cache
from typing import Any

from django.db import connection

from benches.small.contenders.orms import DjangoSync
from benches.small.operation import Operation


@cache
def statement(operation: Operation) -> str:
    """Return the SQL, whose parameters are an operation's values, in their order."""
    executed: list[tuple[str, Any]] = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        executed.append((sql, params))
        return execute(sql, params, many, context)

    values = operation.values(0)
    with connection.execute_wrapper(record):
        DjangoSync().call(operation)(*values)
    ((sql, params),) = executed
    # Before the values there may be a constant of Django's.
    constants = params[: len(params) - len(values)]
    for constant in constants:
        sql = sql.replace("%s", str(int(constant)), 1)
    assert tuple(params) == (*constants, *values)
    return sql
