"""How long quick statements take, with and without one of 200 ms each second: not the time."""

from typing import Any

import pytest

from benches.concurrent.case import Waits
from benches.concurrent.cases import cases
from benches.harness.harness import Harness


@pytest.mark.parametrize("case", cases(Waits, "uvloop"), ids=str)
def test_waits(benchmark: Any, harness: Harness, case: Waits) -> None:
    harness.measure(benchmark, case, case.measured, lambda: case.waits(harness))
