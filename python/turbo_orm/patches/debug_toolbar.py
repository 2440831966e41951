"""django-debug-toolbar, whose SQL panel shows the statements of async views, too.

The toolbar goes to a thread to wrap the cursors of that thread's connections. Here it does so in
the event loop as well, where ``django.db.connections`` are those of the request's task. Tasks that
this one starts are watched, too, and stack traces go on where a greenlet's frames end.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import FrameType
from typing import Any

from django.apps import apps

from turbo_orm import bridge
from turbo_orm.backend import handler
from turbo_orm.patches import required_names
from turbo_orm.patches.patch import Group, Patch, Replacement

_PANEL = "debug_toolbar.panels.sql:SQLPanel"
_UTILS = "debug_toolbar.utils"


def _patches() -> Iterator[Patch]:
    if not apps.is_installed("debug_toolbar"):
        return
    why = "the SQL panel shows the statements of async views"
    if required_names.has(_PANEL, "aenable_instrumentation", without=f"no longer: {why}"):
        yield Replacement(_PANEL, "aenable_instrumentation", why, wrap=in_the_event_loop_too)
    why = "stack traces of statements reach the view that has awaited them"
    if required_names.has(_UTILS, "_stack_frames", without=f"no longer: {why}"):
        yield Replacement(_UTILS, "_stack_frames", why, _stack_frames)


def in_the_event_loop_too(aenable_instrumentation: Any) -> Any:
    """Return the panel's method, to watch the connections of the event loop's task, too."""

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


def _on_install() -> None:
    if apps.is_installed("debug_toolbar") and _watch not in handler.inherit_hooks:
        handler.inherit_hooks.append(_watch)


def _on_uninstall() -> None:
    if _watch in handler.inherit_hooks:
        handler.inherit_hooks.remove(_watch)


def _stack_frames(*, skip: int = 0) -> Iterator[FrameType]:
    return islice(bridge.frames(), skip, None)


GROUP = Group("For django-debug-toolbar", _patches, _on_install, _on_uninstall)
