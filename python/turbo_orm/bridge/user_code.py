"""Which code of a call is the site's own, and which is a library's."""

from __future__ import annotations

import contextlib
import os
import sysconfig
from pathlib import Path
from types import FrameType

import django
import django_async_backend

#: The folders of Django, of what is below it here, and of turbo-orm.
LIBRARIES = (
    str(Path(__file__).parent.parent) + os.sep,
    *[
        str(Path(module.__file__ or "").parent) + os.sep
        for module in (django, django_async_backend, contextlib)
    ],
)

_PACKAGES = (*LIBRARIES, sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
# Of modules that the interpreter has frozen, the importing ones among them, no file is known.
_ALL = (*_PACKAGES, sysconfig.get_path("stdlib"), "<frozen ")


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
