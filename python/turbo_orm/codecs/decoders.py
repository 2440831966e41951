"""How the values of a type are read: by the native decoder that replaces psycopg's loader.

A decoder replaces psycopg's or Django's own loader. Where another loader is registered, or the
settings of the session make the server send a text that the decoder does not read
(**session_parameters**), the loader itself reads the values.
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
from turbo_orm.codecs.session_parameters import SessionParameters

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


def _with_compiled_loaders(loaders: dict[type[Loader], str]) -> dict[type, str]:
    """Add the loaders that psycopg's C build registers in place of those written in Python."""
    found: dict[type, str] = dict(loaders)
    registry = AdaptersMap(adapters)
    for loader, name in loaders.items():
        registry.register_loader("text", loader)
        compiled = registry.get_loader(adapters.types["text"].oid, loader.format)
        assert compiled is not None
        found[compiled] = name
    return found


def _array_loaders() -> tuple[Any, Any]:
    """Return the base class of psycopg's loaders of arrays in text, and its loader in binary."""
    oid = adapters.types["int4"].array_oid
    text = adapters.get_loader(oid, Format.TEXT)
    binary = adapters.get_loader(oid, Format.BINARY)
    assert text is not None
    assert binary is not None
    return text.__mro__[1], binary


_DECODERS = _with_compiled_loaders(_PYTHON_LOADERS)
_ARRAY, _BINARY_ARRAY = _array_loaders()
_RANGES = (range_.RangeLoader, range_.RangeBinaryLoader)
_MULTIRANGES = (multirange.MultirangeLoader, multirange.MultirangeBinaryLoader)


class ValueReader(NamedTuple):
    """How the values of a type are read: natively, unless there is a ``reason`` why not.

    ``load`` is the driver's loader of one value, for what the decoder declines.
    """

    decoder: Decoder
    load: Callable[[Any], Any]
    reason: str


class Decoders:
    """Finds the decoders for results that a cursor or a connection of the driver has received.

    A reader ``for_cache`` serves the results of other connections, too: it refers to none, and
    its loader is that of ``adapt_context``.
    """

    def __init__(self, context: Any, for_cache: bool = False) -> None:
        self._context = context
        self._adapters = context.adapters
        self._session = SessionParameters(context.connection)
        self._for_cache = for_cache
        #: The loaders that are registered, by OID and format.
        self.loaders: dict[tuple[int, Format], Any] = {}

    def reader(self, oid: int, format_: Format) -> ValueReader:
        """Return how the values of a type, by its OID, are read in one of the formats."""
        found = self._decoder(oid, format_)
        if isinstance(found, Decoder):
            load = (
                _ContextLoad(oid, format_)
                if self._for_cache
                else _LazyLoad(self._context, oid, format_)
            )
            return ValueReader(found, load, "")
        loader = Transformer(self._context).get_loader(oid, format_)
        return ValueReader(_decoder("loader", format_), loader.load, found)

    def _decoder(self, oid: int, format_: Format) -> Decoder | str:
        """Return the decoder that reads what the loader would, or say why there is none."""
        # As in psycopg: a type without a loader of its own has that of type 0.
        registered: Any = self._adapters.get_loader(oid, format_)
        self.loaders[oid, format_] = registered
        loader: Any = registered or self._adapters.get_loader(0, format_)
        if name := _DECODERS.get(loader):
            if reason := self._unread_setting(name, format_) or _own_json_loads(name, loader):
                return reason
            if name == "timestamptz":
                zone = self._session.time_zone
                return _timestamptz_decoder(zone, zone, format_)
            return _decoder(name, format_)
        if _is_django_tz_loader(loader):
            reason = self._unread_setting("timestamptz", format_)
            zone = self._session.time_zone
            return reason or _timestamptz_decoder(zone, loader.timezone, format_)
        if (element_oid := self._element_oid(loader, oid)) is not None:
            element = self._decoder(element_oid, format_)
            if isinstance(element, Decoder):
                return _container_decoder(loader, element, element_oid)
            return f"of what is in it: {element}"
        return f"{loader.__module__}.{loader.__qualname__} has no native counterpart"

    def _unread_setting(self, name: str, format_: Format) -> str:
        """Say which setting of the session makes the server send what the decoder does not read.

        Return an empty string if none does.
        """
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

    def _element_oid(self, loader: Any, oid: int) -> int | None:
        """Return the type of an array's elements or a range's bounds, ``None`` for other types."""
        if loader is _BINARY_ARRAY:
            info = self._adapters.types.get(oid)
            return info.oid if info and info.array_oid == oid else None
        base: Any
        for base in (_ARRAY, *_RANGES, *_MULTIRANGES):
            if issubclass(loader, base) and loader.load is base.load:
                found: int = loader.base_oid if base is _ARRAY else loader.subtype_oid
                return found
        return None


class _LazyLoad:
    """Loads values by a loader of the driver's, made when a decoder first declines a value."""

    __slots__ = ("_args", "_load")

    def __init__(self, context: Any, oid: int, format_: Format) -> None:
        self._args = (context, oid, format_)
        self._load: Callable[[Any], Any] | None = None

    def __call__(self, wire: Any) -> Any:
        if self._load is None:
            context, oid, format_ = self._args
            self._load = Transformer(context).get_loader(oid, format_).load
        return self._load(wire)


class _AdaptContext(threading.local):
    """The cursor or connection whose result a thread hydrates by a cached plan."""

    current: Any = None


adapt_context = _AdaptContext()


class _ContextLoad:
    """Loads values by the loader of the connection whose result is being hydrated."""

    __slots__ = ("_format", "_oid")

    def __init__(self, oid: int, format_: Format) -> None:
        self._oid = oid
        self._format = format_

    def __call__(self, wire: Any) -> Any:
        return Transformer(adapt_context.current).get_loader(self._oid, self._format).load(wire)


def _container_decoder(loader: Any, element: Decoder, element_oid: int) -> Decoder:
    if loader is _BINARY_ARRAY:
        return Decoder.array(element, oid=element_oid)
    if issubclass(loader, _ARRAY):
        return Decoder.array(element, delimiter=loader.delimiter[0])
    return Decoder.range(element) if issubclass(loader, _RANGES) else Decoder.multirange(element)


@lru_cache(maxsize=100)
def _timestamptz_decoder(zone: Any, tzinfo: Any, format_: Format) -> Decoder:
    return Decoder(
        "timestamptz",
        binary=format_ == Format.BINARY,
        zone=None if zone is UTC else zone,
        tzinfo=tzinfo,
    )


@cache
def _decoder(name: str, format_: Format) -> Decoder:
    return Decoder(name, binary=format_ == Format.BINARY)


def _is_django_tz_loader(loader: Any) -> bool:
    return bool(
        issubclass(loader, BaseTzLoader)
        and loader.load is BaseTzLoader.load
        and loader.__init__ is BaseTzLoader.__init__
    )


def _own_json_loads(name: str, loader: Any) -> str:
    """Say that a function other than ``json.loads()`` loads JSON. Empty if none does."""
    if name in {"json", "jsonb"} and loader._loads is not json.loads:
        return "a function of its own is registered to load JSON"
    return ""
