"""Lists of rows: every contender, in each shape, on a connection of its own."""

from typing import Any

import pytest

from benches.harness.harness import Harness
from benches.lists.case import MANY, List, lists
from benches.lists.contenders.drivers import Asyncpg, Psycopg
from benches.lists.contenders.orm import BACKEND, DJANGO_ASYNC, DJANGO_SYNC, TURBO, TURBO_SYNC
from benches.lists.contenders.yara import Yara
from benches.lists.shape import INSTANCES
from benches.tables.models import Narrow, Wide

CONTENDERS = [DJANGO_SYNC, DJANGO_ASYNC, BACKEND, Yara(), Psycopg(), Asyncpg(), TURBO, TURBO_SYNC]

# Here all contenders are timed.
DETAILED = [(Narrow, INSTANCES), (Wide, INSTANCES)]


def _is_worth_timing(case: List) -> bool:
    """Return whether a case says more than another: these contenders follow Django sync."""
    if (case.model, case.shape) in DETAILED:
        return True
    slow = case.contender in (DJANGO_ASYNC, BACKEND) and case.rows >= MANY
    return case.contender is not TURBO_SYNC and not slow


CASES = [case for case in lists(CONTENDERS) if _is_worth_timing(case)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_list(benchmark: Any, harness: Harness, case: List) -> None:
    harness.bench(benchmark, case)
