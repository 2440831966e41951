"""The settings and the server of the tests, with tables and cores of the benchmarks' own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import tests.conftest
from tests.conftest import pytest_unconfigure, tables

from benches import cores
from benches.machine import machine, versions_with
from benches.orm_ops import pool

if TYPE_CHECKING:
    # Its modules need the settings.
    from benches.arena import Arena

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
    peers = ("asyncpg", "yara-orm", "tortoise-orm", "sqlalchemy", "piccolo", "uvloop")
    return {**machine(), "versions": versions_with(server, *peers)}
