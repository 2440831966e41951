"""Classes of expressions and lookups that compile to what their attributes say.

Those of Django do. One of a project or a package does if all that it defines are data:
``function``, ``template``, ``lookup_name``, ``output_field``. The ``__init__()`` of an expression
may do anything, since what that leaves in the instance is in the cache key; those of lookups and
transforms are called while Django compiles. Any other method may read a global, a setting, a
context variable or the clock, which need not show where it is compiled twice; so what has one is
not cached.

CPython says when such a class is modified: all entries are dropped then (**replaced_methods**).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

from django.db.models import Lookup, Transform
from django.utils import deconstruct
from django.utils.functional import cached_property

from turbo_orm._core import watch_class
from turbo_orm.bridge.replaced_methods import modifications

# Packages whose classes compile to what their attributes say.
_TRUSTED = ("django.db.models.", "django.contrib.postgres.")
_QUERIES = "django.db.models.sql."

# What a class statement leaves in a class, and methods that no SQL depends on.
_IGNORED = {
    "__annotate__",
    "__annotate_func__",
    "__annotations__",
    "__annotations_cache__",
    "__annotationlib__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__init__",
    "__module__",
    "__orig_bases__",
    "__parameters__",
    "__qualname__",
    "__repr__",
    "__static_attributes__",
    "__str__",
    "__weakref__",
    # The lookups that are registered for a transform. Each that is used is looked at.
    "class_lookups",
}
_DATA = {bool, float, int, str, type(None)}

# Instances may have attributes of any names. Then all are forgotten.
_MAX_NAMES = 10_000

# By class: why it is uncertain, or "".
_answers: dict[type, str] = {}
# Those that are certain, or were.
_watched: set[type] = set()
#: By class and the names of an instance's attributes: what ``names_of()`` has returned.
known_names: dict[tuple[Any, ...], tuple[str, ...]] = {}
modifications.listen(_answers.clear)
modifications.listen(known_names.clear)


def is_trusted(kind: type) -> bool:
    """Return whether a class is one of Django's that compile to what their attributes say."""
    return kind.__module__.startswith(_TRUSTED) and not kind.__module__.startswith(_QUERIES)


def uncertainty(kind: type) -> str:
    """Say why a class of expressions, lookups or transforms may compile to anything, if it may."""
    if is_trusted(kind):
        return ""
    answer = _answers.get(kind)
    if answer is None:
        answer = _uncertainty(kind)
        if not answer and not _is_in_its_module(kind):
            answer = "which its module does not have by that name"
        elif not answer or kind in _watched:
            _watched.add(kind)
            are_watched = all([watch_class(each) for each in _others(kind)])  # noqa: C419
            # What was modified before is not told of.
            answer = _uncertainty(kind)
            if not answer and not are_watched:
                answer = "which was modified too often for CPython to tell of it"
        if answer:
            answer = f"{kind.__module__}.{kind.__qualname__}, {answer}"
        if _is_in_its_module(kind):
            # Any other may be made anew by each call, and would be kept.
            _answers[kind] = answer
    return answer


def names_of(kind: type, state: Mapping[str, Any]) -> tuple[str, ...] | str:
    """Return the names of the attributes that decide what an expression compiles to, in order.

    If there is more to its class than these, say what.
    """
    if why := uncertainty(kind):
        return why
    if is_trusted(kind) and not watch_class(kind):
        # A test's mock may have changed an attribute of Django's, too.
        return f"{kind.__qualname__}, which was modified too often for CPython to tell of it"
    names = [name for name in sorted(state) if not is_derived(kind, name)]
    if "_constructor_args" in state and any("__init__" in vars(each) for each in _others(kind)):
        # Django compares expressions by these, of which its own classes keep all.
        names.append("_constructor_args")
    if len(known_names) >= _MAX_NAMES:
        known_names.clear()
    return known_names.setdefault((kind, *state), tuple(names))


def is_derived(kind: type, name: str) -> bool:
    """Return whether an attribute of an expression is computed from others."""
    if name == "output_field":
        return False
    return name == "_constructor_args" or isinstance(getattr(kind, name, None), cached_property)


def _uncertainty(kind: type) -> str:
    if (
        type(kind) is not type
        or kind.__module__.startswith(_QUERIES)
        or not any(is_trusted(base) for base in kind.__mro__)
    ):
        return "which may do anything"
    ignored = _IGNORED
    if issubclass(kind, Lookup | Transform):
        ignored = ignored - {"__init__"}
    for each in _others(kind):
        for name, value in vars(each).items():
            if not (name in ignored or _is_data(value) or _is_of_deconstructible(name, value)):
                return (
                    f"which has {name} of its own: only attributes with plain values are certain"
                )
    return ""


def _is_in_its_module(kind: type) -> bool:
    """Return whether a class is what its module has by its name, and so is made once."""
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind


def _others(kind: type) -> Iterator[type]:
    """Yield the class and its bases that are not Django's."""
    return (each for each in kind.__mro__ if each is not object and not is_trusted(each))


def _is_of_deconstructible(name: str, value: Any) -> bool:
    """Return whether it is one of the functions that ``@deconstructible`` puts into a class."""
    function = value.__func__ if type(value) is staticmethod else value
    return (
        name in {"__new__", "deconstruct"}
        and type(function) is FunctionType
        and function.__globals__.get("__name__") == deconstruct.__name__
    )


def _is_data(value: Any) -> bool:
    kind = type(value)
    if kind is tuple:
        return all(map(_is_data, value))
    # A field of Django's, which is given as ``output_field``.
    is_field = hasattr(kind, "get_internal_type") and is_trusted(kind)
    return kind in _DATA or (is_field and not hasattr(value, "base_field"))
