"""The settings: what ``TURBO_ORM`` may hold, and what holds where it does not."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal, TypedDict

from django.conf import settings

NAME = "TURBO_ORM"

#: Each cached statement is compiled by Django, too, and compared: a mismatch is raised. For tests.
VERIFIES = os.environ.get("TURBO_ORM_VERIFY") == "1"

#: Each key with its default, whose type a value has to be of. Numbers are positive, or zero where
#: that is the default.
DEFAULTS: dict[str, Any] = {
    # Dotted names of sync middleware, views, error views and receivers of a request's signals, or
    # of modules, that wait for nothing but the database.
    "ON_EVENT_LOOP": (),
    # The aliases of the replicas that turbo_orm.routers.ReplicaRouter reads from, with weights.
    "REPLICAS": {},
    # Where sync views run: "thread" or "bridge".
    "SYNC_VIEWS": "thread",
    # While so many tasks wait for a connection, sync views on the bridge do not begin.
    "WAITING_VIEWS": 50,
    # Whether statements go to libpq without a cursor where nothing needs one.
    "DIRECT_EXECUTION": True,
    # Whether all async views are called as lazy_loading functions.
    "LAZY_LOADING": False,
    # How many connections of a pool are shared by quick statements of several tasks that read:
    # less than a fourth of them, none if it is 0.
    "MULTIPLEX": 0,
    # Whether all of Django is async, not only the models with an AsyncManager.
    "PATCH_DJANGO": True,
    # Whether cached statements are prepared, where no pooler is in front of the database.
    "PREPARE": True,
    # Whether statements are cached, how many entries there may be, and how many bytes they may
    # take in a process, by estimate.
    "QUERY_CACHE": True,
    # Whether those of models without an AsyncManager are, too, where all of Django is async.
    "QUERY_CACHE_ALL_MANAGERS": False,
    "QUERY_CACHE_BYTES": 50_000_000,
    "QUERY_CACHE_ENTRIES": 5_000,
    # One hit in so many is compared with what Django would execute; none if it is 0.
    "QUERY_CACHE_VERIFY": 0,
    # After how many milliseconds code on the bridge is logged that keeps the event loop; never if
    # it is 0.
    "LOOP_WATCHDOG": 0,
    # At how many fetches of an attribute, at one line in one task, it is logged; never if it is 0.
    "N_PLUS_ONE": 0,
}

#: The values of keys that have only these.
CHOICES = {"SYNC_VIEWS": ("bridge", "thread")}

#: The defaults that are others where ``DEBUG`` is set.
DEBUG_DEFAULTS: dict[str, Any] = {"LOOP_WATCHDOG": 100, "N_PLUS_ONE": 10}


class Settings(TypedDict, total=False):
    """What a type checker and an editor know of ``TURBO_ORM``: the keys of ``DEFAULTS``."""

    ON_EVENT_LOOP: Sequence[str] | AbstractSet[str]
    REPLICAS: Mapping[str, int]
    SYNC_VIEWS: Literal["bridge", "thread"]
    WAITING_VIEWS: int
    DIRECT_EXECUTION: bool
    LAZY_LOADING: bool
    MULTIPLEX: int
    PATCH_DJANGO: bool
    PREPARE: bool
    QUERY_CACHE: bool
    QUERY_CACHE_ALL_MANAGERS: bool
    QUERY_CACHE_BYTES: int
    QUERY_CACHE_ENTRIES: int
    QUERY_CACHE_VERIFY: int
    LOOP_WATCHDOG: int
    N_PLUS_ONE: int


def get(key: str) -> Any:
    """Return the value of a key, or its default if the value is not valid.

    The system checks report that.
    """
    value = given().get(key)
    return value if is_valid(key, value) else default(key)


def default(key: str) -> Any:
    """Return what holds where the project has not set a key."""
    return DEBUG_DEFAULTS.get(key, DEFAULTS[key]) if settings.DEBUG else DEFAULTS[key]


def given() -> dict[str, Any]:
    """Return what the project has set."""
    found = getattr(settings, NAME, {})
    return found if isinstance(found, dict) else {}


def is_valid(key: str, value: Any) -> bool:
    """Return whether a value is of the type of the key's default, and positive if a number.

    Zero is valid where it is the default.
    """
    default = DEFAULTS[key]
    if isinstance(default, tuple):
        return isinstance(value, list | tuple | set) and all(type(name) is str for name in value)
    if isinstance(default, dict):
        return isinstance(value, dict) and all(
            type(alias) is str and type(weight) is int and weight > 0
            for alias, weight in value.items()
        )
    if key in CHOICES:
        return value in CHOICES[key]
    # 1 is not True.
    return type(value) is type(default) and (type(value) is not int or value > min(default - 1, 0))
