"""Bulk inserts and updates, contenders side by side, in a task with one connection."""

from typing import Any

import pytest

from benches.harness.harness import Harness
from benches.tables.models import Narrow, Wide
from benches.writes.case import Bulk, Create, Update
from benches.writes.contenders import Copy, DjangoAsync, DjangoOnTheBridge, Turbo

DJANGO_ASYNC, TURBO = DjangoAsync(), Turbo()
CREATES = [
    Create(model, contender)
    for model in (Narrow, Wide)
    for contender in (Copy(), DJANGO_ASYNC, DjangoOnTheBridge(), TURBO)
]
UPDATES = [Update(Wide, contender) for contender in (DJANGO_ASYNC, TURBO)]


@pytest.mark.parametrize("case", CREATES, ids=str)
def test_create(benchmark: Any, harness: Harness, case: Bulk) -> None:
    harness.bench(benchmark, case)


@pytest.mark.parametrize("case", UPDATES, ids=str)
def test_update(benchmark: Any, harness: Harness, case: Bulk) -> None:
    harness.bench(benchmark, case)
