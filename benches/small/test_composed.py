"""Each composed operation, contenders side by side."""

from typing import Any

import pytest

from benches.harness.contender import Contender
from benches.harness.harness import Harness
from benches.small.composed.case import DJANGO_ASYNC, PSYCOPG, Calls, method
from benches.small.composed.operations import OPERATIONS, Composed
from benches.small.composed.orms import Backend, Orm, Turbo
from benches.small.composed.sqlalchemy_orm import SqlAlchemy
from benches.small.composed.yara import Yara


def _does(contender: Contender, operation: Composed) -> bool:
    if contender is PSYCOPG:
        return True
    if not isinstance(contender, Orm):
        return hasattr(contender, method(operation))
    return operation.name not in contender.lacks and (
        contender.has_instances or not operation.of_instances
    )


CASES = [
    Calls(operation, contender)
    for operation in OPERATIONS
    for contender in (DJANGO_ASYNC, Backend(), Yara(), SqlAlchemy(), PSYCOPG, Turbo())
    if _does(contender, operation)
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_composed_operation(benchmark: Any, harness: Harness, case: Calls) -> None:
    harness.bench(benchmark, case)
