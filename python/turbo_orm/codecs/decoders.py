"""Chooses the native decoder for a type: the one that reads what the driver's loader would.

It is psycopg's or Django's own loader that a decoder stands for. Where another one is registered,
or the session sends text that the decoder does not read, the loader itself is used.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC
from functools import cache, lru_cache
from typing import Any, NamedTuple

from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from psycopg import adapters
from psycopg.adapt import AdaptersMap, Loader, Transformer
from psycopg.pq import Format
from psycopg.types import bool as bool_
from psycopg.types import datetime, hstore, multirange, numeric, string, uuid
from psycopg.types import json as json_
from psycopg.types import range as range_

from turbo_orm._core import Decoder
from turbo_orm.codecs.session_parameters import Session

_PYTHON_LOADERS: dict[type[Loader], str] = {
    bool_.BoolBinaryLoader: "bool",
    bool_.BoolLoader: "bool",
    datetime.DateBinaryLoader: "date",
    datetime.DateLoader: "date",
    datetime.IntervalBinaryLoader: "interval",
    datetime.IntervalLoader: "interval",
    datetime.TimeBinaryLoader: "time",
    datetime.TimeLoader: "time",
    datetime.TimestampBinaryLoader: "timestamp",
    datetime.TimestampLoader: "timestamp",
    datetime.TimestamptzBinaryLoader: "timestamptz",
    datetime.TimestamptzLoader: "timestamptz",
    hstore.HstoreLoader: "hstore",
    json_.JsonBinaryLoader: "json",
    json_.JsonLoader: "json",
    json_.JsonbBinaryLoader: "jsonb",
    json_.JsonbLoader: "jsonb",
    numeric.Float4BinaryLoader: "float4",
    numeric.Float8BinaryLoader: "float8",
    numeric.FloatLoader: "float",
    numeric.Int2BinaryLoader: "int2",
    numeric.Int4BinaryLoader: "int4",
    numeric.Int8BinaryLoader: "int8",
    numeric.IntLoader: "int",
    numeric.NumericBinaryLoader: "numeric",
    numeric.NumericLoader: "numeric",
    numeric.OidBinaryLoader: "oid",
    string.ByteaBinaryLoader: "bytea",
    string.ByteaLoader: "bytea",
    string.TextBinaryLoader: "text",
    string.TextLoader: "text",
    uuid.UUIDBinaryLoader: "uuid",
    uuid.UUIDLoader: "uuid",
}
# New in psycopg 3.3.
if hasattr(hstore, "HstoreBinaryLoader"):
    _PYTHON_LOADERS[hstore.HstoreBinaryLoader] = "hstore"


def _with_compiled_twins(loaders: dict[type[Loader], str]) -> dict[type, str]:
    """Add what psycopg's C build registers in place of its Python loaders."""
    found: dict[type, str] = dict(loaders)
    registry = AdaptersMap(adapters)
    for loader, name in loaders.items():
        registry.register_loader("text", loader)
        twin = registry.get_loader(adapters.types["text"].oid, loader.format)
        assert twin is not None
        found[twin] = name
    return found


def _array_loaders() -> tuple[Any, Any]:
    """Return the class behind psycopg's loaders for arrays in text, and that for binary."""
    oid = adapters.types["int4"].array_oid
    text = adapters.get_loader(oid, Format.TEXT)
    binary = adapters.get_loader(oid, Format.BINARY)
    assert text is not None
    assert binary is not None
    return text.__mro__[1], binary


_NAMES = _with_compiled_twins(_PYTHON_LOADERS)
_ARRAY, _BINARY_ARRAY = _array_loaders()
_RANGES = (range_.RangeLoader, range_.RangeBinaryLoader)
_MULTIRANGES = (multirange.MultirangeLoader, multirange.MultirangeBinaryLoader)


class Choice(NamedTuple):
    """How the values of a type are read: natively where there is no ``reason`` why not.

    ``load`` is the driver's own reader, for what the decoder does not recognise.
    """

    decoder: Decoder
    load: Callable[[Any], Any]
    reason: str


class Decoders:
    """Chooses decoders for the results of a driver's cursor, or connection.

    What is chosen to be ``kept`` serves the results of other connections, too: it refers to none.
    """

    def __init__(self, driver_cursor: Any, kept: bool = False) -> None:
        self._cursor = driver_cursor
        self._adapters = driver_cursor.adapters
        self._session = Session(driver_cursor.connection)
        self._kept = kept
        #: The loaders that were in force, by OID and format.
        self.loaders: dict[tuple[int, Format], Any] = {}

    def choose(self, oid: int, format_: Format) -> Choice:
        """Choose for the values of a type, by its OID, in one of the formats."""
        found = self._decoder(oid, format_)
        if isinstance(found, Decoder):
            late = (
                _PresentLoad(oid, format_) if self._kept else _LateLoad(self._cursor, oid, format_)
            )
            return Choice(found, late, "")
        loader = Transformer(self._cursor).get_loader(oid, format_)
        return Choice(_decoder("loader", format_), loader.load, found)

    def _decoder(self, oid: int, format_: Format) -> Decoder | str:
        """Return the decoder that reads what the loader would, or say why there is none."""
        # As psycopg does it: a type that is not known has the loader of type 0.
        registered: Any = self._adapters.get_loader(oid, format_)
        self.loaders[oid, format_] = registered
        kind: Any = registered or self._adapters.get_loader(0, format_)
        if name := _NAMES.get(kind):
            if reason := self._objection(name, format_) or _json_objection(name, kind):
                return reason
            if name == "timestamptz":
                zone = self._session.time_zone
                return _moments(zone, zone, format_)
            return _decoder(name, format_)
        if _is_django_tz_loader(kind):
            objection = self._objection("timestamptz", format_)
            return objection or _moments(self._session.time_zone, kind.timezone, format_)
        if (inner_oid := self._inner_oid(kind, oid)) is not None:
            inner = self._decoder(inner_oid, format_)
            if isinstance(inner, Decoder):
                return _composed(kind, inner, inner_oid)
            return f"of what is in it: {inner}"
        return f"{kind.__module__}.{kind.__qualname__} has no native counterpart"

    def _objection(self, name: str, format_: Format) -> str:
        """Say what of the session makes the server send other text than the decoder reads."""
        session = self._session
        if name in {"hstore", "text"}:
            if session.client_encoding != "UTF8":
                return f"client_encoding is {session.client_encoding}, not UTF8"
        elif format_ == Format.BINARY:
            return ""
        elif name in {"date", "timestamp", "timestamptz"}:
            if not session.date_style.startswith("ISO"):
                return f"DateStyle is {session.date_style}, not ISO"
        elif name == "interval" and session.interval_style != "postgres":
            return f"IntervalStyle is {session.interval_style}, not postgres"
        return ""

    def _inner_oid(self, kind: Any, oid: int) -> int | None:
        """Return the type of what an array or a range is made of."""
        if kind is _BINARY_ARRAY:
            info = self._adapters.types.get(oid)
            return info.oid if info and info.array_oid == oid else None
        base: Any
        for base in (_ARRAY, *_RANGES, *_MULTIRANGES):
            if issubclass(kind, base) and kind.load is base.load:
                inner: int = kind.base_oid if base is _ARRAY else kind.subtype_oid
                return inner
        return None


class _LateLoad:
    """A loader of the driver's that is made when it is needed, since it rarely is."""

    __slots__ = ("_args", "_load")

    def __init__(self, driver_cursor: Any, oid: int, format_: Format) -> None:
        self._args = (driver_cursor, oid, format_)
        self._load: Callable[[Any], Any] | None = None

    def __call__(self, wire: Any) -> Any:
        if self._load is None:
            cursor, oid, format_ = self._args
            self._load = Transformer(cursor).get_loader(oid, format_).load
        return self._load(wire)


class _Receiving(threading.local):
    """The cursor or connection whose result a thread hydrates by a plan that was kept."""

    context: Any = None


receiving = _Receiving()


class _PresentLoad:
    """A loader of the connection whose result is being hydrated, whichever that is."""

    __slots__ = ("_format", "_oid")

    def __init__(self, oid: int, format_: Format) -> None:
        self._oid = oid
        self._format = format_

    def __call__(self, wire: Any) -> Any:
        return Transformer(receiving.context).get_loader(self._oid, self._format).load(wire)


def _composed(kind: Any, inner: Decoder, inner_oid: int) -> Decoder:
    if kind is _BINARY_ARRAY:
        return Decoder.array(inner, oid=inner_oid)
    if issubclass(kind, _ARRAY):
        return Decoder.array(inner, delimiter=kind.delimiter[0])
    return Decoder.range(inner) if issubclass(kind, _RANGES) else Decoder.multirange(inner)


@lru_cache(maxsize=100)
def _moments(zone: Any, tzinfo: Any, format_: Format) -> Decoder:
    return Decoder(
        "timestamptz",
        binary=format_ == Format.BINARY,
        zone=None if zone is UTC else zone,
        tzinfo=tzinfo,
    )


@cache
def _decoder(name: str, format_: Format) -> Decoder:
    return Decoder(name, binary=format_ == Format.BINARY)


def _is_django_tz_loader(kind: Any) -> bool:
    return bool(
        issubclass(kind, BaseTzLoader)
        and kind.load is BaseTzLoader.load
        and kind.__init__ is BaseTzLoader.__init__
    )


def _json_objection(name: str, kind: Any) -> str:
    if name in {"json", "jsonb"} and kind._loads is not json.loads:
        return "a function of its own is registered to load JSON"
    return ""
