"""Django's lazy objects: the settings, which a request reads some twenty times, and its user.

``LazyObject`` looks at each attribute that is read: it may be a method of the wrapped object's. To
make one takes four calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import wraps
from typing import Any

from django.conf import LazySettings, settings
from django.utils.functional import LazyObject, SimpleLazyObject, empty

from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.patches.patch import Group, Patch, Replacement

# Their instances are no methods, and have nothing that is evaluated when it is looked at.
_PLAIN = {bool, bytes, dict, float, int, list, set, str, timedelta, tuple, type(None)}
_MISSING: Any = object()
_get_own: Callable[[Any, str], Any] = object.__getattribute__
_set_own: Any = vars(LazyObject)["__setattr__"]

type GetAttribute = Callable[[Any, str], Any]


def reading_what_is_kept(djangos: GetAttribute) -> GetAttribute:
    """Return ``__getattribute__()`` of the settings, to look first where Django keeps them.

    It keeps each in the ``__dict__`` when it is first read, until it is assigned or overridden.
    """
    if not is_own(djangos):
        return djangos
    only: Any = settings
    kept = _get_own(settings, "__dict__").get
    of_class = vars(LazySettings)

    @wraps(djangos)
    def get_attribute(lazy: Any, name: str) -> Any:
        if lazy is only:
            value = kept(name, _MISSING)
            # A property, or a mock's, comes first.
            if type(value) in _PLAIN and name not in of_class:
                return value
        return djangos(lazy, name)

    return get_attribute


def setting_both_attributes(djangos: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Return ``__init__()`` of ``SimpleLazyObject``, to set at once what it would set."""
    inherited = vars(LazyObject)["__init__"]
    if not is_own(djangos) or not is_own(inherited):
        return djangos

    # Its argument is self: a tracer may look at it.
    @wraps(djangos)
    def init(self: Any, func: Any) -> None:
        if (
            type(self) is SimpleLazyObject
            and SimpleLazyObject.__setattr__ is _set_own
            and LazyObject.__init__ is inherited
        ):
            own = _get_own(self, "__dict__")
            own["_setupfunc"] = func
            own["_wrapped"] = empty
        else:
            djangos(self, func)

    return init


def _patches() -> Iterator[Patch]:
    yield Replacement(
        "django.conf:LazySettings",
        "__getattribute__",
        "a setting that was read before is found at once",
        wrap=reading_what_is_kept,
    )
    yield Replacement(
        "django.utils.functional:SimpleLazyObject",
        "__init__",
        "the lazy user of each request is made at once",
        wrap=setting_both_attributes,
    )


GROUP = Group("For lazy objects", _patches)
