"""A log of statements that take long, with the line of code that has asked for them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter
from typing import Any

from turbo_orm import bridge
from turbo_orm.bridge.user_code import is_library, place

_logger = logging.getLogger("turbo_orm.slow")


def log_slow_statements(milliseconds: float = 200) -> Callable[..., Any]:
    """Return an ``execute_wrapper()`` that logs each statement that takes this long or longer.

    The logger ``turbo_orm.slow`` issues a warning with the alias, the line of your own code, and
    the SQL without its values. In an event loop, the time is the time until the task continues.
    While the wrapper is installed, all statements use Django's cursor.
    """

    def logging_slow(
        execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        began = perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            took = (perf_counter() - began) * 1000
            if took >= milliseconds:
                alias = context["connection"].alias
                _logger.warning(
                    "A statement on %r has taken %d ms, at %s: %s", alias, took, caller(), sql
                )

    return logging_slow


def caller() -> str:
    """Return the nearest line of the site's own code, also behind the bridge."""
    frames = (frame for frame in bridge.frames() if not is_library(frame))
    frame = next(frames, None)
    return "unknown code" if frame is None else place(frame)
