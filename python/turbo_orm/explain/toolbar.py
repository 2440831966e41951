"""The panel of django-debug-toolbar that shows a request's thread hops.

List ``"turbo_orm.explain.toolbar.HopsPanel"`` in ``DEBUG_TOOLBAR_PANELS``. The module needs the
toolbar and settings to be imported, so nothing of turbo-orm imports it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from debug_toolbar.panels import Panel
from django.core.handlers.asgi import ASGIHandler

from turbo_orm import bridge
from turbo_orm.explain.hops import Recording, recording


class HopsPanel(Panel):
    """Shows how often a request has left the event loop for a thread, where, and what to do.

    It is about what is inside the toolbar's middleware, without the toolbar's own hops.
    ``manage.py turbo_orm hops`` shows the whole request.
    """

    is_async = True
    title = "Thread hops"
    template = "turbo_orm/hops_panel.html"

    _recording: Recording | None = None
    _recorded: ExitStack | None = None

    @property
    def nav_subtitle(self) -> str:
        total = self.get_stats().get("total")
        if total is None:
            return ""
        return f"{total} hop" if total == 1 else f"{total} hops"

    def enable_instrumentation(self) -> None:
        if self._recorded is None:
            self._recorded = ExitStack()
            self._recording = self._recorded.enter_context(recording(_is_served_by_turbo_orm()))

    def disable_instrumentation(self) -> None:
        if self._recorded is not None:
            self._recorded.close()
            self._recorded = None

    def generate_stats(self, request: Any, response: Any) -> None:
        if self._recording is None:
            return
        found = self._recording.as_dict()
        hops = [hop for hop in found["hops"] if not hop["function"].startswith("debug_toolbar.")]
        self.record_stats({**found, "hops": hops, "total": len(hops)})


def _is_served_by_turbo_orm() -> bool:
    """Return whether the handler that the middleware is called by is one of turbo-orm's."""
    for frame in bridge.frames():
        handler = frame.f_locals.get("self")
        if isinstance(handler, ASGIHandler):
            return type(handler).__module__.startswith("turbo_orm.")
    return False
