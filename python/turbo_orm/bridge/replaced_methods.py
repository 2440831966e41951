"""Methods of Django's classes that another package, or a test's mock, has put others in place of.

Where they are, what would not call them is switched off: Django's own code does. CPython says when
a watched class is modified (``watch_class()`` in the native core), so a replacement is noticed
whenever it is made, and undone, and costs nothing until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, partialmethod
from inspect import getattr_static
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    WrapperDescriptorType,
)
from typing import Any

from django.utils.functional import cached_property as django_cached_property

from turbo_orm._core import on_class_modified, watch_class

_OWN = ("django.", "turbo_orm.")
#: The modules whose functions are what they wrap, by ``__wrapped__``, as those of turbo-orm are.
TRANSPARENT = {"contextlib"}
# Typing packages add this one to Django's classes.
_IGNORED = {"__class_getitem__"}
_BUILT_IN = {
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
}


class Modifications:
    """How often a watched class was modified, and what wants to know at once."""

    def __init__(self) -> None:
        self.count = 0
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a function called at each one, before it can be seen. It must use no class."""
        self._listeners.append(listener)

    def __call__(self) -> None:
        self.count += 1
        for listener in self._listeners:
            listener()


modifications = Modifications()
on_class_modified(modifications)


def is_own(method: Any, packages: tuple[str, ...] = _OWN) -> bool:
    """Return whether what a class has under a name is of the packages, or no method.

    They are those whose names begin so, by default Django and turbo-orm.

    ``functools.wraps()`` copies a function's ``__module__``, but not its globals. A proxy
    (wrapt's) passes for the function that it wraps, globals and all, even to ``isinstance()``:
    only ``type()`` tells. A method of turbo-orm's, or of a ``TRANSPARENT`` module, is what it
    wraps.
    """
    kind = type(method)
    if issubclass(kind, property):
        return all(is_own(each, packages) for each in (method.fget, method.fset, method.fdel))
    if issubclass(kind, classmethod | staticmethod | MethodType):
        method = method.__func__
    elif issubclass(kind, cached_property | django_cached_property | partialmethod):
        method = method.func
    method = unwrapped(method)
    kind = type(method)
    if kind is FunctionType:
        is_written_there = _module(method).startswith((*packages, "turbo_orm."))
        return is_written_there and not has_injected_code(method)
    # None, a class, a descriptor of C's or of Django's; or a proxy, a mock, a tool's descriptor.
    is_method = callable(method) or hasattr(kind, "__get__")
    return (
        not is_method
        or issubclass(kind, type)
        or kind in _BUILT_IN
        or kind.__module__.startswith((*packages, "turbo_orm."))
    )


def unwrapped(method: Any) -> Any:
    """Return what functions of turbo-orm and of ``TRANSPARENT`` modules wrap, if they wrap it."""
    while type(method) is FunctionType and hasattr(method, "__wrapped__"):
        name = _module(method)
        if name not in TRANSPARENT and not name.startswith("turbo_orm."):
            break
        method = method.__wrapped__
    return method


def has_injected_code(function: FunctionType) -> bool:
    """Return whether a tool has given a function other bytecode, which calls the tool (ddtrace).

    The compiler makes no function a constant: bytecode that is injected has what it calls there.
    """
    return any(map(callable, function.__code__.co_consts))


def _module(function: FunctionType) -> str:
    """Return the name of the module that a function was written in."""
    return function.__globals__.get("__name__") or ""


def replaced(
    *classes: type, names: Iterable[str] | None = None, packages: tuple[str, ...] = _OWN
) -> str:
    """Return what is wrong with the first method of the classes that is not theirs, or ``""``.

    ``names`` are the methods that are looked at, by default all that the classes define. The
    classes are watched from then on: that is wrong, too, if one cannot be watched any more.
    """
    for class_ in classes:
        if not watch_class(class_):
            return f"{class_.__qualname__} was modified too often for CPython to tell of it"
        for name in vars(class_) if names is None else names:
            if name not in _IGNORED and not is_own(getattr_static(class_, name, None), packages):
                return f"{class_.__module__}.{class_.__qualname__}.{name} is another package's"
    return ""
