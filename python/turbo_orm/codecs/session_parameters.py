"""The settings of a session on which the text of its values depends."""

from __future__ import annotations

from functools import cached_property
from typing import Any


class SessionParameters:
    """What a server has last reported of a connection's session. ``driver`` is psycopg's."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    @cached_property
    def date_style(self) -> str:
        return self._reported(b"DateStyle")

    @cached_property
    def interval_style(self) -> str:
        return self._reported(b"IntervalStyle")

    @cached_property
    def client_encoding(self) -> str:
        return self._reported(b"client_encoding")

    @cached_property
    def time_zone(self) -> Any:
        """The ``tzinfo`` of the aware datetimes that psycopg loads."""
        return self._driver.info.timezone

    def _reported(self, name: bytes) -> str:
        value: bytes | None = self._driver.pgconn.parameter_status(name)
        return (value or b"").decode()
