"""Debian's PostGIS, GDAL and GEOS in ``.cache/postgis``, where ``make postgis`` puts them.

Nothing of it is installed: a process that is to use them begins with ``environment()``.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.temporary_server import temporary_server

UNPACKED = Path(__file__).resolve().parents[2] / ".cache" / "postgis"

ENGINE = "turbo_orm.backends.postgis"


def is_there() -> bool:
    """Return whether they have been unpacked."""
    return (UNPACKED / "made").exists()


def environment() -> dict[str, str]:
    """Return what a process needs in its environment to find the libraries and their data."""
    libraries = UNPACKED / "usr/lib"
    folders = [libraries, *libraries.glob("*-linux-gnu")]
    folders += [each for folder in folders for each in (folder / "blas", folder / "lapack")]
    path = [*map(str, folders), os.environ.get("LD_LIBRARY_PATH", "")]
    return {
        "LD_LIBRARY_PATH": ":".join(filter(None, path)),
        "GDAL_DATA": str(UNPACKED / "usr/share/gdal"),
        "PROJ_LIB": str(UNPACKED / "usr/share/proj"),
    }


def settings() -> dict[str, Any]:
    """Return the settings of Django that say where GDAL and GEOS are."""
    return {
        "GDAL_LIBRARY_PATH": str(_library("libgdal.so.*")),
        "GEOS_LIBRARY_PATH": str(_library("libgeos_c.so.*")),
    }


def _library(pattern: str) -> Path:
    return min((UNPACKED / "usr/lib").glob(f"*-linux-gnu/{pattern}"), key=lambda p: len(p.name))


@contextmanager
def postgis_server() -> Iterator[str]:
    """Run its server for the block, and yield the DSN."""
    (binaries,) = (UNPACKED / "usr/lib/postgresql").glob("*/bin")
    # Raster drivers are off unless the server's configuration enables them.
    with temporary_server(
        binaries, environment(), "-c jit=off -c postgis.gdal_enabled_drivers=ENABLE_ALL"
    ) as dsn:
        yield dsn
