"""Lists of rows: every contender, in each shape, on a connection of its own."""

from typing import Any

import pytest

from benches import names
from benches.harness.harness import Harness
from benches.lists.case import MANY, List, lists
from benches.lists.contenders.drivers import RECEIVED, Asyncpg, Psycopg
from benches.lists.contenders.orm import BACKEND, DJANGO_ASYNC, DJANGO_SYNC, TURBO, TURBO_SYNC
from benches.lists.contenders.yara import Yara
from benches.lists.shape import AITERATOR, INSTANCES
from benches.tables.models import Narrow, Wide

CONTENDERS = [
    DJANGO_SYNC,
    DJANGO_ASYNC,
    BACKEND,
    Yara(),
    Psycopg(),
    RECEIVED,
    Asyncpg(),
    TURBO,
    TURBO_SYNC,
]

# Here all contenders are timed.
DETAILED = [(Narrow, INSTANCES), (Wide, INSTANCES)]


ITERATING = {names.DJANGO_SYNC, names.PSYCOPG_RECEIVED, names.TURBO}


def _is_worth_timing(case: List) -> bool:
    """Return whether a case says more than another: these contenders follow Django sync."""
    if (case.model, case.shape) in DETAILED:
        return True
    if case.shape is AITERATOR:
        return case.rows == 10_000 and case.contender.name in ITERATING
    if case.contender.name == names.PSYCOPG_RECEIVED:
        return case.rows == 10_000
    slow = case.contender in (DJANGO_ASYNC, BACKEND) and case.rows >= MANY
    return case.contender is not TURBO_SYNC and not slow


CASES = [case for case in lists(CONTENDERS) if _is_worth_timing(case)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_list(benchmark: Any, harness: Harness, case: List) -> None:
    harness.bench(benchmark, case)
