"""The settings and the server of the tests, with the benchmarks' own tables; and the arena."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import tests.conftest
from tests.conftest import pytest_unconfigure, tables

if TYPE_CHECKING:
    # Its modules need the settings.
    from benches.arena import Arena

__all__ = ["pytest_unconfigure", "tables"]


def pytest_configure(config: pytest.Config) -> None:
    tests.conftest.pytest_configure(config)
    from django.test.utils import modify_settings

    modify_settings(INSTALLED_APPS={"append": ["benches.tables"]}).enable()


@pytest.fixture(scope="session")
def arena(tables: None) -> Iterator["Arena"]:
    from benches.arena import Arena

    arena = Arena()
    yield arena
    arena.close()
