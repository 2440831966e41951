"""Binds the native core to the libpq that psycopg has loaded, by the addresses of its functions.

psycopg comes in three builds. The binary and the C build link libpq to their extension module,
whose handle therefore finds its symbols; the pure Python build holds it as a ctypes library.
"""

import ctypes
import importlib
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from psycopg import pq

from turbo_orm._core import bind_libpq

_FUNCTIONS = (
    "PQconsumeInput",
    "PQfformat",
    "PQflush",
    "PQftype",
    "PQgetisnull",
    "PQgetlength",
    "PQgetvalue",
    "PQisBusy",
    "PQnfields",
    "PQntuples",
    "PQparameterStatus",
    "PQsendQuery",
    "PQsendQueryPrepared",
    "PQstatus",
)
# Pipelines need them, and results in chunks: PostgreSQL 14 has all but the last two, which 17 has.
_OF_NEWER = (
    "PQpipelineSync",
    "PQsendDescribePrepared",
    "PQsendPrepare",
    "PQsendQueryParams",
    "PQsendPipelineSync",
    "PQsetChunkedRowsMode",
)


@cache
def bind() -> bool:
    """Bind the core to psycopg's libpq, once. Return whether its functions were found."""
    for library in _libraries():
        try:
            functions = {name: getattr(library, name) for name in _FUNCTIONS}
        except AttributeError:
            continue
        for name in _OF_NEWER:
            with suppress(AttributeError):
                functions[name] = getattr(library, name)
        bind_libpq(
            {
                name: ctypes.cast(function, ctypes.c_void_p).value or 0
                for name, function in functions.items()
            }
        )
        return True
    return False


def _libraries() -> list[ctypes.CDLL]:
    if pq.__impl__ == "python":
        library: ctypes.CDLL = importlib.import_module("psycopg.pq._pq_ctypes").pq
        return [library]
    extension = importlib.import_module(f"psycopg_{pq.__impl__}.pq").__file__
    assert extension is not None
    paths = [Path(extension)]
    if sys.platform == "win32":
        # A module's handle finds its own symbols alone there; libpq lies beside the package.
        paths = sorted(paths[0].parents[1].glob(f"psycopg_{pq.__impl__}.libs/libpq*.dll"))
    return [ctypes.CDLL(str(path)) for path in paths]
