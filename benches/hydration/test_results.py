"""Objects of a stored result, with no server in the timed loop.

What follows the arrival of a result is timed, to the freeing of its objects.
"""

from typing import Any

import pytest

from benches.harness.harness import Harness
from benches.lists.case import List, lists
from benches.lists.contenders.stored import StoredDjango, StoredPsycopg, StoredTurbo

CONTENDERS = [StoredDjango(), StoredPsycopg(), StoredTurbo()]


@pytest.mark.parametrize("case", lists(CONTENDERS), ids=str)
def test_result(benchmark: Any, harness: Harness, case: List) -> None:
    harness.bench(benchmark, case)
