"""Objects of a stored result, with no server in the timed loop.

Each benchmark checks its answer against Django's sync one before it times it. Timed is what
follows the arrival of a result, to the freeing of its objects.
"""

from typing import Any

import pytest

from benches.arena import Arena
from benches.case import Case, lists
from benches.contenders.stored import StoredDjango, StoredPsycopg, StoredTurbo

CONTENDERS = [StoredDjango(), StoredPsycopg(), StoredTurbo()]


@pytest.mark.parametrize("case", lists(CONTENDERS), ids=str)
def test_result(benchmark: Any, arena: Arena, case: Case) -> None:
    arena.bench(benchmark, case)
