"""The ASGI application of a project, to be named in its ``asgi.py``."""

from __future__ import annotations

from typing import Any

from django.core import asgi as djangos

from turbo_orm.handlers.asgi import ASGIHandler

__all__ = ["get_asgi_application"]


def get_asgi_application() -> ASGIHandler:
    """Set Django up, and return its ASGI application, which uses threads only if necessary.

    Use it instead of ``django.core.asgi.get_asgi_application()``; it returns the same responses.
    Sync views run in a thread unless ``TURBO_ORM["SYNC_VIEWS"]`` is ``"bridge"``, and so does
    third-party middleware that is sync and not in ``TURBO_ORM["ON_EVENT_LOOP"]``.
    """
    # Through Django's function: tools wrap what it returns.
    module: Any = djangos
    handler, module.ASGIHandler = module.ASGIHandler, ASGIHandler
    try:
        application: ASGIHandler = module.get_asgi_application()
        return application
    finally:
        module.ASGIHandler = handler
