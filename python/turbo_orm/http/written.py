"""JSON that is written already, as a value among those that are yet to be encoded."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4


class WrittenJSON:
    """JSON in bytes, as ``ajson()`` returns it, which turbo-orm's renderers leave as it is."""

    __slots__ = ("json",)

    def __init__(self, json: bytes) -> None:
        self.json = json

    def __repr__(self) -> str:
        return f"<WrittenJSON of {len(self.json)} bytes>"


class Places:
    """The places of written JSON in what is encoded: a unique text takes each until then."""

    def __init__(self) -> None:
        self._written: dict[bytes, bytes] = {}

    def encoder(self, encoder_class: Callable[..., json.JSONEncoder], **options: Any) -> Any:
        """Make an encoder that takes written JSON. It is parsed where it has to look otherwise."""
        encoder: Any = encoder_class(**options)
        is_strict = not options.get("allow_nan", True)
        is_indented = options.get("indent") is not None
        encoder.default = partial(self._default, encoder.default, is_strict, is_indented)
        return encoder

    def _default(
        self, otherwise: Callable[[Any], Any], is_strict: bool, is_indented: bool, value: Any
    ) -> Any:
        if not isinstance(value, WrittenJSON):
            return otherwise(value)
        if is_indented or (is_strict and (b"NaN" in value.json or b"Infinity" in value.json)):
            return json.loads(value.json)
        text = uuid4().hex
        self._written[f'"{text}"'.encode()] = value.json
        return text

    def fill(self, encoded: bytes) -> bytes:
        """Return encoded JSON with what was written in its places."""
        for place, written in self._written.items():
            encoded = encoded.replace(place, written, 1)
        return encoded
