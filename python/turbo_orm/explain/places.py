"""Places in code: where a call came from, and whose code that is."""

from __future__ import annotations

import inspect
import site
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

type Owner = Literal["project", "package", "django", "machinery"]

# What passes calls on, and is never the reason for one.
_MACHINERY = {"asgiref", "greenlet", "turbo_orm", "uvloop"}

# asyncio's modules whose frames are below a task's: those of the loop, and of what runs it.
_BELOW_TASKS = {"asyncio.events", "asyncio.runners"}

_STANDARD_LIBRARY = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})


class Place(NamedTuple):
    """A line of code."""

    file: str
    line: int
    module: str = ""
    function: str = ""

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    @property
    def owner(self) -> Owner:
        """Whose code it is; "machinery" is what only passes calls on, as asyncio does."""
        if self.package == "django":
            return "django"
        if self.package in _MACHINERY or self.file.startswith("<frozen"):
            return "machinery"
        if _is_installed(self.file):
            return "package"
        return "machinery" if self.file.startswith(_STANDARD_LIBRARY) else "project"

    @property
    def is_of_handler(self) -> bool:
        """Whether it is Django's code that calls middleware and views, or a server's."""
        return self.module.startswith("django.core.handlers.")


#: The place of what has none.
NOWHERE = Place("", 0)


def _is_installed(file: str) -> bool:
    directories = (*site.getsitepackages(), site.getusersitepackages())
    return file.startswith(directories) or bool(
        {"site-packages", "dist-packages"} & {*Path(file).parts}
    )


def stack(frames: Iterable[FrameType]) -> list[Place]:
    """Return the places of frames, innermost first, as far as the task's go."""
    places = []
    for frame in frames:
        module = frame.f_globals.get("__name__", "")
        code = frame.f_code
        if module in _BELOW_TASKS:
            break
        places.append(Place(code.co_filename, frame.f_lineno, module, code.co_qualname))
    return places


def definition(function: Callable[..., Any]) -> Place | None:
    """Return where a function or class is defined, or ``None`` of what is not Python code."""
    found: Any = inspect.unwrap(function)
    found = getattr(found, "func", found)
    code = getattr(getattr(found, "__func__", found), "__code__", None)
    if code is not None:
        return Place(code.co_filename, code.co_firstlineno, found.__module__, code.co_qualname)
    cls = found if inspect.isclass(found) else type(found)
    try:
        return Place(inspect.getfile(cls), inspect.getsourcelines(cls)[1], cls.__module__)
    except (OSError, TypeError):
        return None


def dotted(thing: Any) -> str:
    """Return the dotted name of a function, a method or a class, or of an object's class."""
    thing = getattr(thing, "func", thing)  # of a partial
    if not hasattr(thing, "__qualname__"):
        thing = type(thing)
    owner = getattr(thing, "__self__", None)
    if owner is not None and not inspect.ismodule(owner) and hasattr(thing, "__func__"):
        # The class that it was called on, which is the one that settings name.
        cls = owner if inspect.isclass(owner) else type(owner)
        return f"{cls.__module__}.{cls.__qualname__}.{thing.__name__}"
    module = getattr(thing, "__module__", None) or "builtins"
    name: str = thing.__qualname__
    return name if module == "builtins" else f"{module}.{name}"
