"""Decides how each column of a result is read.

A native decoder is used where the loader in force for the column is psycopg's or Django's own and
the session sends the text that the decoder reads. Django's converters run after it, except
that of a plain ``JSONField``, which the JSON decoder replaces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from django.db.models import JSONField
from django.db.models.expressions import ColPairs
from psycopg import adapters
from psycopg.adapt import AdaptersMap, Loader, Transformer
from psycopg.pq import Format
from psycopg.types import bool as bool_
from psycopg.types import datetime, numeric, string, uuid
from psycopg.types import json as json_

from turbo_orm._core import Column

type Converter = Callable[[Any, Any, Any], Any]

_PYTHON_LOADERS: dict[type[Loader], str] = {
    bool_.BoolLoader: "bool",
    datetime.DateLoader: "date",
    datetime.IntervalLoader: "interval",
    datetime.TimeLoader: "time",
    datetime.TimestampLoader: "timestamp",
    json_.JsonLoader: "json",
    json_.JsonbLoader: "json",
    numeric.FloatLoader: "float",
    numeric.IntLoader: "int",
    numeric.NumericLoader: "numeric",
    string.ByteaLoader: "bytea",
    string.TextLoader: "text",
    uuid.UUIDLoader: "uuid",
}


def _with_compiled_twins(loaders: dict[type[Loader], str]) -> dict[type, str]:
    """Add what psycopg's C build registers in place of its Python loaders."""
    found: dict[type, str] = dict(loaders)
    registry = AdaptersMap(adapters)
    for loader, decoder in loaders.items():
        registry.register_loader("text", loader)
        twin = registry.get_loader(adapters.types["text"].oid, Format.TEXT)
        assert twin is not None
        found[twin] = decoder
    return found


_DECODERS = _with_compiled_twins(_PYTHON_LOADERS)


class Session:
    """What the server says of the format in which it sends values."""

    def __init__(self, driver_connection: Any) -> None:
        self._pgconn = driver_connection.pgconn

    @cached_property
    def encodes_utf8(self) -> bool:
        return bool(self._pgconn.parameter_status(b"client_encoding") == b"UTF8")

    @cached_property
    def dates_are_iso(self) -> bool:
        return bool((self._pgconn.parameter_status(b"DateStyle") or b"").startswith(b"ISO"))

    @cached_property
    def intervals_are_postgres(self) -> bool:
        return bool(self._pgconn.parameter_status(b"IntervalStyle") == b"postgres")

    @cached_property
    def time_zone_is_utc(self) -> bool:
        return bool(self._pgconn.parameter_status(b"TimeZone") in {b"UTC", b"Etc/UTC"})


def result_columns(compiler: Any, driver_cursor: Any, pgresult: Any) -> list[Column]:
    """Return the columns of a ``PGresult``, as many as the compiler selects."""
    transformer: Any = Transformer(driver_cursor)
    session = Session(driver_cursor.connection)
    columns = []
    for index, (name, expression, converters) in enumerate(_selected(compiler)):
        format_ = pgresult.fformat(index)
        loader = transformer.get_loader(pgresult.ftype(index), format_)
        decoder = _decoder(loader, session) if format_ == Format.TEXT else "loader"
        tzinfo = loader.timezone if decoder == "timestamptz" else None
        columns.append(
            _column(
                name, decoder, loader.load, converters, expression, compiler.connection, tzinfo
            )
        )
    return columns


def row_columns(compiler: Any) -> list[Column]:
    """Return the columns of row tuples that a cursor has loaded."""
    return [
        _column(name, "text", _as_it_is, converters, expression, compiler.connection)
        for name, expression, converters in _selected(compiler)
    ]


def _as_it_is(value: Any) -> Any:
    return value


def _decoder(loader: Any, session: Session) -> str:
    """Return the decoder that reads what the loader would, or "loader"."""
    decoder = _DECODERS.get(type(loader), "loader")
    match decoder:
        case "int" | "float" | "bool" | "numeric" | "time" | "uuid" | "bytea":
            return decoder
        case "text" if not session.encodes_utf8:
            return "loader"
        case "date" | "timestamp" if not session.dates_are_iso:
            return "loader"
        case "interval" if not session.intervals_are_postgres:
            return "loader"
        case "json" if type(loader)._loads is not json.loads:
            return "loader"
        case "loader" if _is_django_tz_loader(type(loader)):
            if session.dates_are_iso and session.time_zone_is_utc:
                return "timestamptz" if loader.timezone else "timestamptz-naive"
    return decoder


def _is_django_tz_loader(loader: Any) -> bool:
    return bool(
        issubclass(loader, BaseTzLoader)
        and loader.load is BaseTzLoader.load
        and loader.__init__ is BaseTzLoader.__init__
    )


def _column(
    name: str,
    decoder: str,
    load: Callable[[Any], Any],
    converters: Sequence[Converter],
    expression: Any,
    connection: Any,
    tzinfo: Any = None,
) -> Column:
    if decoder == "text" and len(converters) == 1 and _is_plain_json(converters[0]):
        decoder = "json"
        load = partial(_load_json, load, converters[0], expression, connection)
        converters = ()
    return Column(
        name,
        decoder,
        load,
        converters=[(converter, expression) for converter in converters],
        connection=connection,
        tzinfo=tzinfo,
    )


def _is_plain_json(converter: Converter) -> bool:
    """Return whether a converter is that of a JSONField which decodes with ``json.loads()``."""
    return (
        getattr(converter, "__func__", None) is JSONField.from_db_value
        and converter.__self__.decoder is None  # type: ignore[attr-defined]
    )


def _load_json(
    load: Callable[[Any], Any], converter: Converter, expression: Any, connection: Any, wire: Any
) -> Any:
    """Read the JSON that the native decoder does not (nesting of more than 200 levels)."""
    return converter(load(wire), expression, connection)


def _selected(compiler: Any) -> list[tuple[str, Any, Sequence[Converter]]]:
    """Return name, expression and converters of each column that the compiler selects."""
    selected = compiler.select[: compiler.col_count]
    converters = compiler.get_converters([expression for expression, _, _ in selected])
    names: list[str] = []
    for expression, _, alias in selected:
        if isinstance(expression, ColPairs):
            names.extend(target.attname for target in expression.targets)
        else:
            target = getattr(expression, "target", None)
            names.append(alias or getattr(target, "attname", None) or f"column {len(names)}")
    return [
        (name, *reversed(converters.get(index, ((), None)))) for index, name in enumerate(names)
    ]
