"""The Django ORM on a true asyncio PostgreSQL connection, hydrated in Rust.

``objects = AsyncManager()`` on a model is all that it takes. What goes on behind it is told in
``docs/architecture.md``.
"""

from importlib import metadata

try:
    from turbo_orm._core import HydrationError
except ImportError as exc:
    raise ImportError(
        "turbo-orm's native module turbo_orm._core is missing or was built for another Python. "
        "Install a wheel with `pip install --force-reinstall turbo-orm`; in a checkout, build it "
        "with `pip install -e .`, which needs Rust."
    ) from exc

from turbo_orm.bridge import run as run_sync
from turbo_orm.explanation import aexplain_hydration, explain_hydration
from turbo_orm.manager import AsyncManager
from turbo_orm.patching import patch_django, unpatch_django
from turbo_orm.queryset import AsyncQuerySet
from turbo_orm.raw import AsyncRawQuerySet
from turbo_orm.shape_explanation import explain_shape
from turbo_orm.transaction import async_atomic, async_connection

__all__ = [
    "AsyncManager",
    "AsyncQuerySet",
    "AsyncRawQuerySet",
    "HydrationError",
    "aexplain_hydration",
    "async_atomic",
    "async_connection",
    "explain_hydration",
    "explain_shape",
    "patch_django",
    "run_sync",
    "unpatch_django",
]

__version__ = metadata.version("turbo-orm")
