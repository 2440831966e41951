"""The tests' settings and server, with the benchmarks' apps, pool and cores, and the harness."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import tests.conftest
from tests.conftest import pytest_unconfigure, tables

from benches.harness import cores, pool
from benches.machine import PEERS, machine, versions_with

if TYPE_CHECKING:
    # Its modules need the settings.
    from benches.harness.harness import Harness

__all__ = ["pytest_unconfigure", "tables"]


def pytest_configure(config: pytest.Config) -> None:
    with cores.apart():
        tests.conftest.pytest_configure(config)
    from django.conf import settings
    from django.test.utils import modify_settings

    apps = [
        "django_async_backend",
        "benches.tables",
        "benches.small",
        "benches.orm_ops.journals",
    ]
    modify_settings(INSTALLED_APPS={"append": apps}).enable()
    pool.add_to(settings.DATABASES)


@pytest.fixture(scope="module")
def harness(tables: None) -> Iterator["Harness"]:
    from benches.harness.harness import Harness

    harness = Harness()
    yield harness
    harness.close()


def pytest_benchmark_generate_machine_info(config: pytest.Config) -> dict[str, Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (server,) = cursor.fetchone()
    return {**machine(), "versions": versions_with(server, *PEERS, "uvloop")}
