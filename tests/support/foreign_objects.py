"""What other packages' modules, classes and signals hold, to find out what has been changed."""

import inspect
import sys
from types import ModuleType
from typing import Any, NamedTuple

from django.dispatch import Signal

PACKAGES = {
    "asgiref",
    "debug_toolbar",
    "django",
    "django_async_backend",
    "greenlet",
    "pghistory",
    "pgtrigger",
    "psycopg",
    "psycopg_pool",
    "silk",
}

# The special methods that are replaced.
_REPLACED = {
    "__aenter__",
    "__aexit__",
    "__contains__",
    "__getattribute__",
    "__del__",
    "__getstate__",
    "__init__",
    "__iter__",
    "__setitem__",
}

# Which object, and which attribute of it.
type Place = tuple[int, str]


class Held(NamedTuple):
    """What is held in a place. The object is kept, so that no other one gets its address."""

    path: str
    owner: Any
    value: Any


def snapshot() -> dict[Place, Held]:
    """Return the attributes of modules and classes, the classes of instances, and receivers."""
    found: dict[Place, Held] = {}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in PACKAGES:
            _add_attributes(found, name, module)
            for key, value in list(vars(module).items()):
                _add_value(found, f"{name}.{key}", value)
    return found


def _add_value(found: dict[Place, Held], path: str, value: Any) -> None:
    # Not isinstance(): what is lazy would be made.
    if issubclass(type(value), Signal):
        receivers = [(key, receiver) for key, receiver, *_ in value.receivers]
        found[id(value), "receivers"] = Held(path, value, receivers)
    elif issubclass(type(value), type):
        if value.__module__.split(".")[0] in PACKAGES:
            _add_attributes(found, path, value)
            for name in ("__call__", "__setattr__"):
                # Most inherit it, or have none.
                method = inspect.getattr_static(value, name, None)
                found[id(value), name] = Held(f"{path}.{name}", value, method)
    else:
        found[id(value), "__class__"] = Held(f"{path}.__class__", value, type(value))


def _add_attributes(found: dict[Place, Held], path: str, owner: Any) -> None:
    for key, value in list(vars(owner).items()):
        # Python and abc write down there what they have found out, and Django counts fields.
        is_written_down = key.startswith(("__", "_abc_")) and key not in _REPLACED
        if not is_written_down and not key.endswith("creation_counter"):
            found[id(owner), key] = Held(f"{path}.{key}", owner, value)


def changed(before: dict[Place, Held], after: dict[Place, Held]) -> dict[Place, str]:
    """Return the places that hold something else, or nothing any more, with their paths.

    So are those that hold something by now, where the module or class was there before.
    """
    owners = {owner for owner, _ in before}
    found = {
        place: held.path
        for place, held in before.items()
        if not _is_same(place[1], held, after.get(place))
    }
    return found | {
        place: held.path
        for place, held in after.items()
        if place not in before
        and place[0] in owners
        and place[1] != "__class__"
        # A package holds the modules of it that have been imported.
        and not isinstance(held.value, ModuleType)
    }


def _is_same(name: str, one: Held, other: Held | None) -> bool:
    if other is None:
        # An instance that was replaced has its class still.
        return name == "__class__"
    return one.value == other.value if name == "receivers" else one.value is other.value
