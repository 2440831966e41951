"""Results as psycopg has them, of any types, formats and bytes, without a server.

They are libpq's own, made by the functions by which it makes them, so what no server sends
reaches the core the way that everything does.
"""

import ctypes
from collections.abc import Sequence

from psycopg import pq

from turbo_orm.driver import libpq

libpq.bind()


def _function(name: str) -> ctypes._CFuncPtr:
    for library in libpq._libraries():
        if hasattr(library, name):
            return library[name]
    raise LookupError(f"psycopg's libpq has no {name}()")


_set_value = _function("PQsetvalue")
_set_value.argtypes = [
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int,
]

# A result is made for a connection, which may be one that was never established.
_CONNECTION = pq.PGconn.connect_start(b"host=/nonexistent")


def result(attributes: Sequence[tuple[int, int]], rows: Sequence[Sequence[bytes | None]]):
    """Return a ``PGresult`` of such rows, whose columns have each an OID and a format."""
    made = _CONNECTION.make_empty_result(pq.ExecStatus.TUPLES_OK)
    made.set_attributes(
        [
            pq.PGresAttDesc(b"column %d" % index, 0, 0, format_, oid, -1, -1)
            for index, (oid, format_) in enumerate(attributes)
        ]
    )
    for row, values in enumerate(rows):
        for index, value in enumerate(values):
            length = -1 if value is None else len(value)
            if not _set_value(made.pgresult_ptr, row, index, value, length):
                raise MemoryError
    return made


def column(format_: int, values: Sequence[bytes | None], oid: int = 0):
    """Return a ``PGresult`` of one column."""
    return result([(oid, format_)], [[value] for value in values])
