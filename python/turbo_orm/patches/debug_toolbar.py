"""django-debug-toolbar, whose SQL panel shows the statements of async views, too.

The toolbar hops to a thread to watch that thread's connections. Here it does so in the event loop
as well, where ``django.db.connections`` are those of the request's task. Tasks that are started
while it watches are watched, too, and its stack traces go on where a greenlet's frames end.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import FrameType
from typing import Any

from django.apps import apps

from turbo_orm import bridge
from turbo_orm.backend import handler


def use_bridge() -> None:
    """Have the toolbar see the async connections, if it is installed."""
    if not apps.is_installed("debug_toolbar"):
        return
    from debug_toolbar import utils
    from debug_toolbar.panels import sql

    panel: Any = sql.SQLPanel
    if hasattr(panel, "aenable_instrumentation"):
        panel.aenable_instrumentation = _in_the_event_loop_too(panel.aenable_instrumentation)
        handler.inherit_hooks.append(_watch)
    if hasattr(utils, "_stack_frames"):
        utils._stack_frames = _stack_frames


def _in_the_event_loop_too(aenable_instrumentation: Any) -> Any:
    async def enable(panel: Any) -> None:
        await aenable_instrumentation(panel)
        panel.enable_instrumentation()

    return enable


def _watch(wrapper: Any, parent: Any) -> None:
    """Have the panel that watches the parent's connection watch that of a task it has started."""
    logger = getattr(parent, "_djdt_logger", None)
    if logger is not None:
        from debug_toolbar.panels.sql import tracking

        watch: Any = tracking.wrap_cursor
        watch(wrapper)
        wrapper._djdt_logger = logger


def _stack_frames(*, skip: int = 0) -> Iterator[FrameType]:
    return islice(bridge.frames(), skip, None)
