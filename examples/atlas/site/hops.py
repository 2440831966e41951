"""The thread hops of each request, for the footer of its page and for the log."""

import threading
from typing import Any

from django.http import HttpRequest

from turbo_orm.explain.hops import recording


class LoggedHops:
    """An ASGI application that prints of each request how many thread hops it has made."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        status = 0

        async def send_and_look(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        with recording(by_turbo_orm=True) as found:
            try:
                await self.application({**scope, "hops": found.hops}, receive, send_and_look)
            finally:
                asked = f"{scope['method']} {scope['path']}"
                print(f"{asked} {status}, {len(found.hops)} thread hops", flush=True)


def footer(request: HttpRequest) -> dict[str, int]:
    """Return what the footer shows: the page's thread hops, and threads besides the main one."""
    hops = getattr(request, "scope", {}).get("hops", [])
    return {"hops": len(hops), "worker_threads": threading.active_count() - 1}
