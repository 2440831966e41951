"""Small operations in sync code, turbo-orm's beside Django's, on the same kind of connection."""

from typing import Any

import pytest

from benches.harness.harness import Harness
from benches.small.case import DJANGO_SYNC, InSyncCode
from benches.small.contenders.orms import TurboSync
from benches.small.operations import IN_SYNC_CODE

CASES = [
    InSyncCode(operation, contender)
    for operation in IN_SYNC_CODE
    for contender in (DJANGO_SYNC, TurboSync())
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sync_operation(benchmark: Any, harness: Harness, case: InSyncCode) -> None:
    harness.bench(benchmark, case)
