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

#: The keys of names of headers that are plain, so many of them: to lower a name, and to hash what
#: comes of it, costs more than all else that is done with it.
_keys: dict[str, str] = {}
_MOST_KEYS = 500


def _learn(name: str) -> str | None:
    """Return the key of a name, ``None`` if it is not plain."""
    if not name.isascii() or "\n" in name or "\r" in name:
        return None
    key = name.lower()
    if len(_keys) < _MOST_KEYS:
        _keys[name] = key
    return key


def setting_plain_ones(
    djangos: Callable[[Any, Any, Any], None],
) -> Callable[[Any, Any, Any], None]:
    """Return ``__setitem__()``, to store at once what Django would neither change nor refuse."""

    @wraps(djangos)
    def set_item(headers: Any, key: Any, value: Any) -> None:
        if (
            key.__class__ is value.__class__ is str
            and value.isascii()
            and "\n" not in value
            and "\r" not in value
            and headers.__class__._convert_to_charset is _convert
            and (lower := _keys.get(key) or _learn(key)) is not None
        ):
            headers._store[lower] = key, value
        else:
            djangos(headers, key, value)

    return set_item


def asking_the_store(inherited: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return ``__contains__()``, to look for a key where Django's ``__getitem__()`` does."""
    get_item = ResponseHeaders.__getitem__

    @wraps(inherited)
    def contains(headers: Any, key: Any) -> bool:
        if headers.__class__.__getitem__ is get_item:
            lower = _keys.get(key) if key.__class__ is str else None
            return (key.lower() if lower is None else lower) in headers._store
        return inherited(headers, key)

    return contains


def getting_from_the_store(inherited: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``get()``, to look for a key where Django's ``__getitem__()`` does."""
    get_item = ResponseHeaders.__getitem__

    @wraps(inherited)
    def get(headers: Any, key: Any, default: Any = None) -> Any:
        if headers.__class__.__getitem__ is get_item:
            lower = _keys.get(key) if key.__class__ is str else None
            pair = headers._store.get(key.lower() if lower is None else lower)
            return default if pair is None else pair[1]
        return inherited(headers, key, default)

    return get


def calling_both(
    inherited: Callable[[Any, Any, Any], None],
) -> Callable[[Any, Any, Any], None]:
    """Return ``setdefault()``, to call the two methods that Django's calls by operators."""
    contains, set_item = ResponseHeaders.__contains__, ResponseHeaders.__setitem__

    @wraps(inherited)
    def setdefault(headers: Any, key: Any, value: Any) -> None:
        kind = headers.__class__
        if kind.__contains__ is contains and kind.__setitem__ is set_item:
            if not contains(headers, key):
                set_item(headers, key, value)
        else:
            inherited(headers, key, value)

    return setdefault


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
    yield Replacement(
        owner,
        "get",
        "nor does one that is asked for by get()",
        wrap=getting_from_the_store,
    )
    yield Replacement(
        owner,
        "setdefault",
        "a header that is not there is set by two calls",
        wrap=calling_both,
    )


GROUP = Group("For responses", _patches)
