"""A harness for each test: pools of twenty connections are closed before others are opened."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def harness(tables: None) -> Iterator[Any]:
    from benches.harness.harness import Harness

    harness = Harness()
    yield harness
    harness.close()
