"""What the server says of the format in which it sends values."""

from __future__ import annotations

from functools import cached_property
from typing import Any


class Session:
    """The parameters of a connection on which the text of values depends."""

    def __init__(self, driver_connection: Any) -> None:
        self._connection = driver_connection
        self._pgconn = driver_connection.pgconn

    @cached_property
    def date_style(self) -> str:
        return self._parameter(b"DateStyle")

    @cached_property
    def interval_style(self) -> str:
        return self._parameter(b"IntervalStyle")

    @cached_property
    def client_encoding(self) -> str:
        return self._parameter(b"client_encoding")

    @cached_property
    def time_zone(self) -> Any:
        """The time zone in which psycopg gives moments, a ``tzinfo``."""
        return self._connection.info.timezone

    def _parameter(self, name: bytes) -> str:
        value: bytes | None = self._pgconn.parameter_status(name)
        return (value or b"").decode()
