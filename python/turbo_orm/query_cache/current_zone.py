"""The current time zone, which ``datetimes()`` reads when it is called.

A statement may be compiled in another one later. So it is made an argument, and part of the key.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.timezone import get_current_timezone

# ``tzinfo`` is the fourth.
_BEFORE = 3


def with_zone(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of ``datetimes()`` with the zone that Django would take."""
    if len(args) == _BEFORE + 1 and args[_BEFORE] is None and "tzinfo" not in kwargs:
        args = args[:_BEFORE]
    if not settings.USE_TZ or len(args) > _BEFORE or kwargs.get("tzinfo") is not None:
        return args, kwargs
    return args, {**kwargs, "tzinfo": get_current_timezone()}
