"""The settings: what ``TURBO_ORM`` may hold, and what holds where it does not."""

from __future__ import annotations

from typing import Any

from django.conf import settings

NAME = "TURBO_ORM"

#: Each key with its default, whose type it has to be of.
DEFAULTS: dict[str, Any] = {"PATCH_DJANGO": False}


def get(key: str) -> Any:
    """Return the value of a key: its default, too, where what is set is of another type.

    The system checks say what is wrong then.
    """
    value = given().get(key, DEFAULTS[key])
    return value if is_of_right_type(key, value) else DEFAULTS[key]


def given() -> dict[str, Any]:
    """Return what the project has set."""
    found = getattr(settings, NAME, {})
    return found if isinstance(found, dict) else {}


def is_of_right_type(key: str, value: Any) -> bool:
    """Return whether a value is of the type of the key's default. ``1`` is not ``True``."""
    return type(value) is type(DEFAULTS[key])
