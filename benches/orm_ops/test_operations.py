"""Each operation on each journal, contenders side by side."""

from typing import Any

import pytest

from benches.harness.harness import Harness
from benches.orm_ops.case import DJANGO_SYNC, Shared
from benches.orm_ops.contenders.backend import Backend
from benches.orm_ops.contenders.piccolo import Piccolo
from benches.orm_ops.contenders.sqlalchemy import SqlAlchemy
from benches.orm_ops.contenders.tortoise import Tortoise
from benches.orm_ops.contenders.turbo import Turbo
from benches.orm_ops.contenders.yara import Yara
from benches.orm_ops.journals.models import Journal1, Journal2, Journal3
from benches.orm_ops.operations import OPERATIONS

CONTENDERS = [DJANGO_SYNC, Backend(), Yara(), Tortoise(), SqlAlchemy(), Piccolo(), Turbo()]
CASES = [
    Shared(model, operation, contender)
    for model in (Journal1, Journal2, Journal3)
    for operation in OPERATIONS
    for contender in CONTENDERS
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_operation(benchmark: Any, harness: Harness, case: Shared) -> None:
    harness.bench(benchmark, case)
