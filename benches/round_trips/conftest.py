"""The proxy, and a harness whose connections are closed before it ends."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def proxy(tables: None) -> Iterator[Any]:
    from benches.round_trips.far import Proxy

    with Proxy() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def harness(proxy: Any) -> Iterator[Any]:
    from benches.harness.harness import Harness

    harness = Harness()
    yield harness
    harness.close()
