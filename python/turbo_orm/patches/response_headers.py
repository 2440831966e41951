"""Headers of a response, which Django encodes to find out whether they can be encoded.

Each request sets half a dozen, by a call that makes nine more. One that is ASCII, and on one line,
needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from django.http.response import ResponseHeaders

from turbo_orm.patches.patch import Group, Patch, Replacement

_convert: Any = ResponseHeaders._convert_to_charset


def setting_plain_ones(
    djangos: Callable[[Any, Any, Any], None],
) -> Callable[[Any, Any, Any], None]:
    """Return ``__setitem__()``, to store at once what Django would neither change nor refuse."""

    @wraps(djangos)
    def set_item(headers: Any, key: Any, value: Any) -> None:
        if (
            key.__class__ is value.__class__ is str
            and key.isascii()
            and value.isascii()
            and "\n" not in key
            and "\r" not in key
            and "\n" not in value
            and "\r" not in value
            and headers.__class__._convert_to_charset is _convert
        ):
            headers._store[key.lower()] = key, value
        else:
            djangos(headers, key, value)

    return set_item


def asking_the_store(inherited: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return ``__contains__()``, to look for a key where Django's ``__getitem__()`` does."""
    get_item = ResponseHeaders.__getitem__

    @wraps(inherited)
    def contains(headers: Any, key: Any) -> bool:
        if headers.__class__.__getitem__ is get_item:
            return key.lower() in headers._store
        return inherited(headers, key)

    return contains


def _patches() -> Iterator[Patch]:
    owner = "django.http.response:ResponseHeaders"
    yield Replacement(
        owner,
        "__setitem__",
        "a header of plain ASCII is not encoded to be checked",
        wrap=setting_plain_ones,
    )
    yield Replacement(
        owner,
        "__contains__",
        "a header that is not there takes no exception",
        wrap=asking_the_store,
    )


GROUP = Group("For responses", _patches)
