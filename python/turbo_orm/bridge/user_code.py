"""Which code of a call is the site's own, and which is a library's."""

from __future__ import annotations

import contextlib
import os
import sysconfig
from pathlib import Path
from types import FrameType, ModuleType

import django
import django_async_backend


def _folder(module: ModuleType) -> str:
    return str(Path(module.__file__ or "").parent) + os.sep


_OWN = (
    str(Path(__file__).parent.parent) + os.sep,
    *map(_folder, (django, django_async_backend)),
)
#: The folders of Django, of what is below it here, of turbo-orm, and of the standard library.
LIBRARIES = (*_OWN, _folder(contextlib))

_PACKAGES = (*_OWN, sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
#: How the interpreter names the files of modules that it has frozen, as those that import others.
FROZEN = "<frozen "
_ALL = (*_PACKAGES, *LIBRARIES, sysconfig.get_path("stdlib"), FROZEN)


def is_package(frame: FrameType) -> bool:
    """Return whether a frame is of a function of a package, the standard library being none."""
    return frame.f_code.co_filename.startswith(_PACKAGES)


def is_library(frame: FrameType) -> bool:
    """Return whether a frame is of a function of a package or of the standard library."""
    return frame.f_code.co_filename.startswith(_ALL)


def qualified_name(frame: FrameType) -> str:
    """Return module and qualified name of the function that a frame is of."""
    return f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"


def place(frame: FrameType) -> str:
    """Return file, line and function that a frame is at, as a log names them."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno} ({frame.f_code.co_qualname})"
