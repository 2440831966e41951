"""Lists of rows: every contender, in each shape, on a connection of its own.

Each benchmark checks its answer against Django's sync one before it times it. A query is timed
from the making of the queryset to the freeing of its results.
"""

from typing import Any

import pytest

from benches.arena import MANY, Arena
from benches.case import Case, lists
from benches.contenders.driver import Asyncpg, Psycopg
from benches.contenders.orm import BACKEND, DJANGO_ASYNC, DJANGO_SYNC, TURBO, TURBO_SYNC
from benches.contenders.yara import Yara
from benches.shape import INSTANCES
from benches.tables.models import Narrow, Wide

CONTENDERS = [DJANGO_SYNC, DJANGO_ASYNC, BACKEND, Yara(), Psycopg(), Asyncpg(), TURBO, TURBO_SYNC]


# In detail, in one shape.
DETAILED = [(Narrow, INSTANCES), (Wide, INSTANCES)]


def _is_worth_timing(case: Case) -> bool:
    """Return whether a case says more than another: these contenders follow Django sync."""
    if (case.model, case.shape) in DETAILED:
        return True
    slow = case.contender in (DJANGO_ASYNC, BACKEND) and case.rows >= MANY
    return case.contender is not TURBO_SYNC and not slow


CASES = [case for case in lists(CONTENDERS) if _is_worth_timing(case)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_list(benchmark: Any, arena: Arena, case: Case) -> None:
    arena.bench(benchmark, case)
