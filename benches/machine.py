"""The machine of a run, and the versions of what it ran."""

import os
import platform
from importlib.metadata import version
from typing import Any

import cpuinfo
import psycopg

from atlas.versions import versions

# The packages of the contenders, but for those of Django's and turbo-orm's.
PEERS = ("asyncpg", "yara-orm", "tortoise-orm", "sqlalchemy", "piccolo")


def machine() -> dict[str, str]:
    """Return what a run depends on most, in words."""
    return {
        "cpu": cpuinfo.get_cpu_info()["brand_raw"],
        "cores": f"{os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions_with(server: str, *packages: str) -> dict[str, str]:
    """Return the versions of Python, Django, psycopg, the server and more packages."""
    return {**versions(server), **{package: version(package) for package in packages}}


def server_version(connection: psycopg.Connection[Any]) -> str:
    """Return the version of a connection's server."""
    return (connection.info.parameter_status("server_version") or "").split()[0]
