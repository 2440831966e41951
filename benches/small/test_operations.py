"""Each operation, contenders side by side."""

from typing import Any

import pytest

from benches.small.contenders.contender import Contender
from benches.small.contenders.drivers import Asyncpg
from benches.small.contenders.orms import Backend, DjangoAsync, Turbo, TurboOnUvloop
from benches.small.contenders.yara import Yara
from benches.small.operation import Operation
from benches.small.operations import OPERATIONS
from benches.small.ring import DJANGO_SYNC, PSYCOPG, PSYCOPG_ON_UVLOOP, Ring

CONTENDERS = [DJANGO_SYNC, DjangoAsync(), Backend(), Yara(), Asyncpg(), PSYCOPG, Turbo()]
# The loop is the same to all operations.
ON_UVLOOP = [PSYCOPG_ON_UVLOOP, TurboOnUvloop()]
CASES = [
    (operation, contender)
    for operation in OPERATIONS
    for contender in [*CONTENDERS, *(ON_UVLOOP if operation.method == "get" else [])]
]


def _name(case: tuple[Operation, Contender]) -> str:
    operation, contender = case
    return f"{operation}-{contender.name.replace(',', '').replace(' ', '-')}"


@pytest.mark.parametrize(("operation", "contender"), CASES, ids=map(_name, CASES))
def test_operation(benchmark: Any, ring: Ring, operation: Operation, contender: Contender) -> None:
    ring.bench(benchmark, operation, contender)
