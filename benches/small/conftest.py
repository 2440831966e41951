"""The ring, for all tests of a module."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    # Its modules need the settings.
    from benches.small.ring import Ring


@pytest.fixture(scope="module")
def ring(tables: None) -> Iterator["Ring"]:
    from benches.small.ring import Ring

    ring = Ring()
    yield ring
    ring.close()
