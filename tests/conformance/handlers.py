"""Has turbo-orm's handlers in the place of Django's: that of ASGI, and those of test clients.

The sync test client knows no event loop, so its handler has the coroutine of each request waited
for. In an event loop, where nothing can be, it is left to Django's.
"""

from asyncio import _get_running_loop
from typing import Any

import asgiref.sync
from django.contrib.staticfiles import handlers as staticfiles
from django.core.handlers import asgi
from django.http.response import HttpResponseBase
from django.test import client

from tests.conformance import driving, lending
from turbo_orm import bridge
from turbo_orm import test as turbo_test
from turbo_orm.handlers import calls
from turbo_orm.handlers.asgi import ASGIHandler, EventLoopHandler

#: Requests that were answered by a handler of turbo-orm's.
requests = 0


def _wait_for(coroutine: Any) -> Any:
    # Connections that are first asked for in a task would be that task's.
    lending.of_thread()

    async def wait() -> Any:
        return await coroutine

    # What takes its place by now: see leaving.
    return asgiref.sync.async_to_sync(wait)()


class ClientHandler(EventLoopHandler, client.ClientHandler):
    """The handler of the sync test client, which waits for what handles a request."""

    #: Whether the middleware that is loaded is for Django's own way.
    _is_djangos: bool | None = None

    def __call__(self, environ: Any) -> Any:
        is_djangos = _get_running_loop() is not None and not bridge.active()
        if is_djangos is not self._is_djangos:
            self.load_middleware(is_async=not is_djangos)
            self._is_djangos = is_djangos
        return super().__call__(environ)

    def get_response(self, request: Any) -> Any:
        if self._is_djangos:
            return super().get_response(request)
        response = _wait_for(self.get_response_async(request))
        chunks = response.streaming_content if response.streaming else None
        if getattr(chunks, "__name__", "") == calls.on_bridge_each.__name__:
            # The view has made it of sync content.
            response.streaming_content = driving._steps(chunks, _wait_for)
        return response


def _counted(handler: type[EventLoopHandler]) -> None:
    get_response_async: Any = handler.get_response_async

    async def counted(self: Any, request: Any) -> HttpResponseBase:
        global requests
        requests += 1
        response: HttpResponseBase = await get_response_async(self, request)
        return response

    handler.get_response_async = counted  # type: ignore[method-assign]


def replace() -> None:
    """Have Django and its tests use the handlers of turbo-orm."""
    _counted(EventLoopHandler)
    static: Any = staticfiles.ASGIStaticFilesHandler
    static.__bases__ = (staticfiles.StaticFilesHandlerMixin, ASGIHandler)
    for djangos, ours in {
        asgi.ASGIHandler: ASGIHandler,
        client.AsyncClientHandler: turbo_test.AsyncClientHandler,
        client.ClientHandler: ClientHandler,
    }.items():
        # What turbo-orm derives from Django's is derived by now.
        driving.replace_everywhere(djangos.__name__, djangos, ours)
