"""Each small operation, contenders side by side."""

from typing import Any

import pytest

from benches.harness.harness import Harness
from benches.small.case import DJANGO_SYNC, PSYCOPG, PSYCOPG_ON_UVLOOP, Repeated
from benches.small.contenders.drivers import Asyncpg
from benches.small.contenders.orms import Backend, DjangoAsync, Turbo, TurboOnUvloop
from benches.small.contenders.yara import Yara
from benches.small.operations import OPERATIONS

CONTENDERS = [DJANGO_SYNC, DjangoAsync(), Backend(), Yara(), Asyncpg(), PSYCOPG, Turbo()]
# For one operation: what the event loop takes is the same for all.
ON_UVLOOP = [PSYCOPG_ON_UVLOOP, TurboOnUvloop()]
CASES = [
    Repeated(operation, contender)
    for operation in OPERATIONS
    for contender in [*CONTENDERS, *(ON_UVLOOP if operation.method == "get" else [])]
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_operation(benchmark: Any, harness: Harness, case: Repeated) -> None:
    harness.bench(benchmark, case)
