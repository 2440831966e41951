"""Values as literals in SQL: what psycopg's client cursor writes, most of it by the native core.

The core writes a value while psycopg's default dumper of its class (**dumpers**) is registered on
the connection. Every other value is written by psycopg.
"""

from __future__ import annotations

from typing import Any

from psycopg.adapt import PyFormat, Transformer

from turbo_orm._core import Literals
from turbo_orm.codecs.dumpers import DEFAULT_DUMPERS, DUMPED_CLASSES

_TEXT = PyFormat.TEXT

# psycopg writes literals of intervals and JSON.
_LITERALS = Literals(
    [
        (class_, DEFAULT_DUMPERS[class_], encoder)
        for class_, encoder in {
            class_: encoder
            for encoder, classes in DUMPED_CLASSES.items()
            for class_ in classes
            if encoder not in {"interval", "jsonb"}
        }.items()
    ]
)


def with_literals(between: tuple[bytes, ...], values: tuple[Any, ...], connection: Any) -> bytes:
    """Return SQL with literals of the values between its pieces, for a connection of psycopg's.

    Raises what psycopg's dumpers raise for a value.
    """
    dumpers = connection.adapters._dumpers[_TEXT]
    return _LITERALS.fill(between, values, dumpers, Transformer(connection).as_literal)
