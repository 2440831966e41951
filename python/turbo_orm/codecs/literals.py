"""Values as literals in SQL: what psycopg's client cursor writes, most of it by the native core.

The core writes a value where psycopg's own dumper for its class is in force on the connection.
"""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import postgres
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.types.numeric import Int2, Int4, Int8

from turbo_orm._core import Literals

_TEXT = PyFormat.TEXT

# By class, the name of the core's encoder.
_ENCODERS: dict[type, str] = {
    Decimal: "numeric",
    Int2: "int2",
    Int4: "int4",
    Int8: "int8",
    UUID: "uuid",
    bool: "bool",
    date: "date",
    datetime: "timestamptz",
    float: "float",
    int: "int8",
    str: "text",
    time: "time",
}


def _literals() -> Literals:
    """Return the writer that knows the dumpers which psycopg has before anybody registers any."""
    adapters = AdaptersMap(types=postgres.types)
    postgres.register_default_adapters(adapters)
    return Literals(
        [(kind, adapters.get_dumper(kind, _TEXT), name) for kind, name in _ENCODERS.items()]
    )


_LITERALS = _literals()


def filled(between: tuple[bytes, ...], values: tuple[Any, ...], connection: Any) -> bytes:
    """Return SQL with literals of the values between its pieces, for a connection of psycopg's.

    Raises what psycopg's dumpers raise for a value.
    """
    dumpers = connection.adapters._dumpers[_TEXT]
    return _LITERALS.fill(between, values, dumpers, Transformer(connection).as_literal)
