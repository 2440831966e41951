"""Values as literals in SQL: what psycopg's client cursor writes, most of it by the native core.

Or as parameters, in place of such literals, of a statement that is prepared.

The core writes a value while psycopg's default dumper of its class (**dumpers**) is registered on
the connection. Every other value is written by psycopg.
"""

from __future__ import annotations

from typing import Any

from psycopg.adapt import PyFormat, Transformer

from turbo_orm._core import Literals, Parameters
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
    return _LITERALS.fill(between, values, connection.adapters._dumpers[_TEXT], _dump, connection)


def as_parameters(values: tuple[Any, ...], connection: Any) -> Parameters | None:
    """Return the values as parameters of the types that PostgreSQL gives the literals.

    ``None`` if one has a literal of an unusual form, or if the session reads no UTF-8. Raises what
    psycopg's dumpers raise.
    """
    dumpers = connection.adapters._dumpers[_TEXT]
    parameters = Parameters.of(_LITERALS, values, dumpers, _dump, connection)
    is_read = parameters is None or parameters.is_ascii or connection.info.encoding == "utf-8"
    return parameters if is_read else None


def _dump(value: Any, connection: Any) -> bytes | bytearray:
    """Return psycopg's literal of a value."""
    return Transformer(connection).as_literal(value)
