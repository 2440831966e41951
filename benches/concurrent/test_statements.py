"""Statements a second of 200 tasks over twenty connections, and what the server computes."""

from typing import Any

import pytest

from benches.concurrent.case import Crowd
from benches.concurrent.cases import cases
from benches.harness import record
from benches.harness.harness import Harness


@pytest.mark.parametrize("case", cases(Crowd, "asyncio", "uvloop"), ids=str)
def test_statements(benchmark: Any, harness: Harness, case: Crowd) -> None:
    harness.bench(benchmark, case)
    record.add(benchmark, **case.processor_times(harness))
