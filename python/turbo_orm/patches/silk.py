"""django-silk, which records the statements of async views, too.

Its middleware is sync, so under ASGI it runs in a thread, and an async view in the event loop.
It records statements in attributes of the thread. Here they are the request's, wherever its code
runs: they go with its context variables, which asgiref passes from the thread to the view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import wraps
from types import SimpleNamespace
from typing import Any

from django.apps import apps

from turbo_orm.patches import required_names
from turbo_orm.patches.patch import Group, Patch, Replacement

_COLLECTOR = "silk.collector"

_current: ContextVar[SimpleNamespace | None] = ContextVar("silk", default=None)


def _patches() -> Iterator[Patch]:
    if not apps.is_installed("silk"):
        return
    why = "statements of async views are recorded with their request"
    if required_names.has(_COLLECTOR, "local", without=f"no longer: {why}"):
        yield Replacement(_COLLECTOR, "local", why, RequestLocal)
        yield Replacement(f"{_COLLECTOR}:DataCollector", "clear", why, wrap=beginning_a_request)


def _attributes() -> SimpleNamespace:
    """Return the attributes of the request. The tasks that its view starts share them."""
    attributes = _current.get()
    if attributes is None:
        attributes = SimpleNamespace()
        _current.set(attributes)
    return attributes


class RequestLocal:
    """Attributes as those of a ``threading.local``, which each request has of its own."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_attributes(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_attributes(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_attributes(), name)


def beginning_a_request(clear: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return ``DataCollector.clear()``, which the middleware calls first, to begin a request."""

    @wraps(clear)
    def clear_all(collector: Any) -> None:
        # The request before may have had no end. Then its profiler still runs, and only one can.
        collector.stop_python_profiler()
        _current.set(SimpleNamespace())
        clear(collector)

    return clear_all


GROUP = Group("For django-silk", _patches)
