"""The Django ORM on a true asyncio PostgreSQL connection, hydrated in Rust.

``objects = AsyncManager()`` on a model is all that it takes. ``docs/architecture.md`` explains how
it works.
"""

import sys
from importlib import metadata

try:
    from turbo_orm import _core
except ImportError as exc:
    raise ImportError(
        "turbo-orm's native module turbo_orm._core is missing or was built for another Python. "
        "In a checkout of turbo-orm, build a wheel for this Python with `make wheel` and install "
        "that, or run `pip install -e .`. Both need Rust."
    ) from exc
else:
    _lacking = {"Exchange", "HydrationError", "Plan", "bind_libpq"}.difference(vars(_core))
    if _lacking:
        raise ImportError(
            f"{getattr(_core, '__file__', _core)} is not the native module of this turbo-orm: it "
            f"lacks {', '.join(sorted(_lacking))}. It is that of another version, or of another "
            "project: on PyPI the name turbo-orm belongs to an unrelated one. Run `pip uninstall "
            "turbo-orm` until there is none, and install the wheel that `make wheel` builds in a "
            "checkout of turbo-orm."
        )

from django.core import checks as _checks

from turbo_orm._core import HydrationError
from turbo_orm.backend.pipeline_block import async_pipeline
from turbo_orm.backend.transaction import async_atomic, async_connection, release_connection
from turbo_orm.bridge import run as run_sync
from turbo_orm.bridge.lazy_loading import lazy_loading
from turbo_orm.checks import check_installation as _check_installation
from turbo_orm.explain.hydration import aexplain_hydration, explain_hydration
from turbo_orm.explain.pool import pool_stats
from turbo_orm.explain.query_cache import cache_info, explain_cache, explain_shape
from turbo_orm.handlers.places import in_thread, on_bridge
from turbo_orm.orm.manager import AsyncManager
from turbo_orm.orm.queryset import AsyncQuerySet
from turbo_orm.orm.raw import AsyncRawQuerySet
from turbo_orm.patches.patch_django import patch_django, unpatch_django

__all__ = [
    "AsyncManager",
    "AsyncQuerySet",
    "AsyncRawQuerySet",
    "HydrationError",
    "aexplain_hydration",
    "async_atomic",
    "async_connection",
    "async_pipeline",
    "cache_info",
    "explain_cache",
    "explain_hydration",
    "explain_shape",
    "in_thread",
    "lazy_loading",
    "on_bridge",
    "patch_django",
    "pool_stats",
    "release_connection",
    "run_sync",
    "unpatch_django",
]

__version__ = metadata.version("turbo-orm")

# The app, if it is installed, registers the other ones.
_checks.register(_check_installation)

# Exports have their public path, which pickles and migrations store.
for _name in __all__:
    _public = globals()[_name]
    _public.__module__, _public.__qualname__ = __name__, _name
# Those made by earlier versions have the paths of modules that were moved since.
for _name in (
    "explanation",
    "manager",
    "patching",
    "queryset",
    "raw",
    "shape_explanation",
    "transaction",
):
    sys.modules[f"{__name__}.{_name}"] = sys.modules[__name__]
