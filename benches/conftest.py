"""The settings and the server of the tests, with tables and cores of the benchmarks' own."""

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import cpuinfo
import pytest
import tests.conftest
from tests.conftest import pytest_unconfigure, tables

from atlas.versions import versions
from benches import cores

if TYPE_CHECKING:
    # Its modules need the settings.
    from benches.arena import Arena

__all__ = ["pytest_unconfigure", "tables"]


def pytest_configure(config: pytest.Config) -> None:
    with cores.apart():
        tests.conftest.pytest_configure(config)
    from django.test.utils import modify_settings

    modify_settings(INSTALLED_APPS={"append": ["benches.tables"]}).enable()


@pytest.fixture(scope="session")
def arena(tables: None) -> Iterator["Arena"]:
    from benches.arena import Arena

    arena = Arena()
    yield arena
    arena.close()


def pytest_benchmark_generate_machine_info(config: pytest.Config) -> dict[str, Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (server,) = cursor.fetchone()
    peers = {package: version(package) for package in ("asyncpg", "yara-orm")}
    return {
        "cpu": cpuinfo.get_cpu_info()["brand_raw"],
        "cores": f"{os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {**versions(server), **peers},
    }
