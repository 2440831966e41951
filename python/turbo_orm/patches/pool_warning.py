"""django-async-backend's warning of pools, which is wrong where turbo-orm's are used.

It warns that a pool belongs to one event loop, while the WSGI handler makes one for each request.
Here each loop has a pool of its own, which is closed with it, and sync code has Django's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from django_async_backend.db.backends.postgresql import base

from turbo_orm.patches.patch import Group, Patch, Replacement

_ABOUT_POOLS = "Using the asynchronous Django backend with a connection pool"


def _warn(message: Any, category: Any = None, stacklevel: int = 1, **options: Any) -> None:
    if not str(message).startswith(_ABOUT_POOLS):
        warnings.warn(message, category, stacklevel + 1, **options)


#: What the engine's module uses of the module ``warnings``.
WARNINGS = SimpleNamespace(warn=_warn)


def _patches() -> Iterator[Patch]:
    # Versions that do not warn do not import it.
    if hasattr(base, "warnings"):
        yield Replacement(
            base.__name__,
            "warnings",
            "each event loop has a pool of its own: nothing is to be warned of",
            WARNINGS,
        )


GROUP = Group("For pools", _patches)
