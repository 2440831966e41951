"""Django's ASGI handler, which starts no thread where nothing needs one.

It is Django's, but for what is called where (**calls**), how a client that goes is noticed
(**disconnect**), and what of a request's begin and end has nothing to do without a thread.
"""

from __future__ import annotations

import io
from asyncio import CancelledError, get_running_loop
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

from asgiref.sync import AsyncToSync, SyncToAsync, sync_to_async
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers import asgi, base
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponse, HttpResponseBase, ResponseHeaders
from django.urls import ResolverMatch
from django.urls import base as urls_base

from turbo_orm import bridge
from turbo_orm.backend.task_connections import async_connections
from turbo_orm.handlers import calls, middleware, places, receivers
from turbo_orm.handlers.calls import HandledRequest, handled_request
from turbo_orm.handlers.circles import break_circles
from turbo_orm.handlers.disconnect import Disconnect
from turbo_orm.handlers.local_storage import is_empty
from turbo_orm.handlers.messages import ASGIRequest
from turbo_orm.handlers.middleware_chain import joined
from turbo_orm.handlers.places import Place

urls: Any = urls_base
_get_item = ResolverMatch.__getitem__


class EventLoopHandler(base.BaseHandler):
    """A handler whose requests are handled in the event loop. Mixed into Django's classes."""

    _exception_middleware: list[Any]

    def load_middleware(self, is_async: bool = False) -> None:
        """Load the middleware as Django does."""
        super().load_middleware(is_async)
        places_ = {middleware.place_of_method(method, ()) for method in self._exception_middleware}
        self._place_of_exceptions = next(
            (place for place in (Place.THREAD, Place.BRIDGE) if place in places_), Place.INLINE
        )

    def adapt_method_mode(self, is_async: bool, method: Any, *args: Any, **kwargs: Any) -> Any:
        """Adapt a method as Django does, but for where it is called."""
        adapted = super().adapt_method_mode(is_async, method, *args, **kwargs)
        if isinstance(adapted, SyncToAsync):
            return calls.placed(method, adapted)
        if isinstance(adapted, AsyncToSync):
            return calls.awaited(method)
        return joined(adapted) if is_async else adapted

    def make_view_atomic(self, view: Any) -> Any:
        """Wrap a view in its transactions. A sync one that runs on the bridge becomes async."""
        atomic: Any = super().make_view_atomic(view)
        request = handled_request.get()
        is_async: Any = base.iscoroutinefunction  # type: ignore[attr-defined]
        if request is None or is_async(atomic):
            return atomic
        request.place_of_view = place = places.place_of_view(view)
        if place is Place.BRIDGE:
            return calls.with_admission(atomic)
        return calls.call_at(place, atomic, in_thread=atomic)

    def resolve_request(self, request: HttpRequest) -> Any:
        """Resolve a request as Django does. Django unpacks what this returns."""
        match: Any = super().resolve_request(request)
        # A match is unpacked by its __getitem__(), called four times.
        if (
            match.__class__ is ResolverMatch
            and ResolverMatch.__getitem__ is _get_item
            and type(self).resolve_request is EventLoopHandler.resolve_request
        ):
            return match.func, match.args, match.kwargs
        return match

    def check_response(self, response: Any, callback: Any, name: Any = None) -> None:
        """Complain of what is no response, as Django does."""
        if not isinstance(response, HttpResponseBase):
            super().check_response(response, callback, name)

    async def get_response_async(self, request: HttpRequest) -> Any:
        """Return the response for a request."""
        handled = HandledRequest()
        handled.place_of_exceptions = self._place_of_exceptions
        token = handled_request.set(handled)
        try:
            response: Any = await super().get_response_async(request)
        finally:
            handled_request.reset(token)
        if handled.place_of_view is Place.BRIDGE and _is_generated(response):
            response.streaming_content = calls.on_bridge_each(response.streaming_content)
            response.is_closed_on_bridge = True
        return response


def _is_generated(response: Any) -> bool:
    """Return whether code of the project is yet to make the content, and not in an event loop."""
    return response.streaming and not response.is_async and not isinstance(response, FileResponse)


class ASGIHandler(EventLoopHandler, asgi.ASGIHandler):
    """Django's handler for ASGI: ``turbo_orm.asgi.get_asgi_application()``."""

    request_class = ASGIRequest

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request, as Django does."""
        async_connections.forget_inherited()
        try:
            body_file = await self.read_body(receive)
        except RequestAborted:
            return
        try:
            _set_script_prefix(asgi.get_script_prefix(scope))
            await self._start(scope)
            response: Any
            request, response = self.create_request(scope, body_file)
            if request is None:
                body_file.close()
                await self.send_response(response, send)
            else:
                response = await self._respond(request, receive, send)
            if response is not None:
                await self._close(response)
            elif receivers.has_used_thread():
                # After what runs there still, which may read the body.
                await signals.request_finished.asend(sender=type(self))
            else:
                await self._send(signals.request_finished)
            if request is not None:
                held = [request]
                del request, response
                break_circles(held)
        finally:
            body_file.close()

    async def _respond(self, request: Any, receive: Any, send: Any) -> Any:
        """Send the response, and return it: ``None`` if the client has gone before it was made."""
        response = None
        disconnect = Disconnect(self.listen_for_disconnect, receive)
        try:
            response = await self.run_get_response(request)
            await self.send_response(response, send)
        except RequestAborted:
            pass
        except CancelledError:
            reason = disconnect.reason()
            if reason is None:
                raise
            if not isinstance(reason, RequestAborted):
                raise reason from None
        finally:
            await disconnect.stop()
        return response

    async def _start(self, scope: Any) -> None:
        """Send ``request_started``."""
        signal, sender = signals.request_started, type(self)
        inline = receivers.without_waiting(signal, sender)
        if inline is None:
            await self._send(signal, scope=scope)
        else:
            for receiver in inline:
                receiver(signal=signal, sender=sender, scope=scope)

    async def _send(self, signal: Any, **named: Any) -> None:
        """Send a signal of the request to receivers that may wait."""
        token = handled_request.set(HandledRequest())
        try:
            await signal.asend(sender=type(self), **named)
        finally:
            handled_request.reset(token)

    async def _close(self, response: Any) -> None:
        """Close a response, and send ``request_finished``."""
        if response.streaming and response.is_async:
            await _aclose_content(response)
        if getattr(response, "is_closed_on_bridge", False):
            await bridge.run(_close_content, response)
        signal, sender = signals.request_finished, type(self)
        place = Place.THREAD
        if not receivers.has_used_thread() and _closes_at_once(response):
            inline = receivers.without_waiting(signal, sender)
            if inline is not None:
                _close_all(response._resource_closers)
                response._resource_closers.clear()
                response.closed = True
                for receiver in inline:
                    receiver(signal=signal, sender=sender)
                return
            place = receivers.place_of_receivers(signal, sender)
        await calls.call_at(place, response.close, sync_to_async(response.close))()

    async def send_response(self, response: Any, send: Any) -> None:
        """Send a response, as Django does. A short one takes no more than to encode it."""
        kind = response.__class__
        if (
            response.streaming
            or kind.content is not HttpResponse.content
            or kind.items is not HttpResponseBase.items
            or response.headers.__class__ is not ResponseHeaders
            or len(body := response.content) > self.chunk_size
        ):
            await super().send_response(response, send)
            return
        # Names and values are ASCII and Latin 1: they were checked when they were set.
        headers = [
            (name.encode(), value.encode("latin1"))
            for name, value in response.headers._store.values()
        ]
        if response.cookies:
            headers += [
                (b"Set-Cookie", cookie.OutputString().encode("ascii"))
                for cookie in response.cookies.values()
            ]
        await send(
            {"type": "http.response.start", "status": response.status_code, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def read_body(self, receive: Any) -> Any:
        """Return the body of a request as a file: in memory, if it is small and comes at once."""
        message = await receive()
        body = message.get("body", b"")
        is_whole = message["type"] == "http.request" and not message.get("more_body", False)
        if is_whole and (not body or len(body) <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE):
            return io.BytesIO(body)
        first = [message]

        async def receive_again() -> Any:
            return first.pop() if first else await receive()

        return await super().read_body(receive_again)


def _set_script_prefix(prefix: str) -> None:
    """Set the prefix of the scripts, unless it is the one that is set, or in force without one."""
    before = "/" if is_empty(urls._prefixes) else urls.get_script_prefix()
    if (prefix or "/") != before:
        urls.set_script_prefix(prefix)


async def _aclose_content(response: Any) -> None:
    """Close the generator of what was not sent, as Python does when it collects it.

    One that a middleware has put around it (to compress it) refers to the response, which refers
    to that: what it holds, like the connection of a cursor, would be kept until then.
    """
    content = response._iterator
    if isinstance(content, AsyncGenerator):
        try:
            await content.aclose()
        except Exception as exc:
            what = "an error occurred during closing of asynchronous generator"
            context = {"message": f"{what} {content!r}", "exception": exc, "asyncgen": content}
            get_running_loop().call_exception_handler(context)


def _close_all(closers: list[Callable[[], object]]) -> None:
    """Close what a response has, each even if others raise, as Django does."""
    left = iter(closers)
    while True:
        with suppress(Exception):
            for close in left:
                close()
            return


def _close_content(response: Any) -> None:
    """Close what a response was made of: a generator that is left runs code of the project."""
    closers = [each for each in response._resource_closers if not _is_of_request(each)]
    for closer in closers:
        response._resource_closers.remove(closer)
        with suppress(Exception):
            closer()


def _is_of_request(closer: Any) -> bool:
    return isinstance(getattr(closer, "__self__", None), asgi.ASGIRequest)


def _closes_at_once(response: Any) -> bool:
    """Return whether to close a response closes no file, and runs no code of the project."""
    return type(response).close is HttpResponseBase.close and all(
        map(_is_of_small_request, response._resource_closers)
    )


def _is_of_small_request(closer: Any) -> bool:
    """Return whether it closes a request, which has nothing on a disk."""
    if not _is_of_request(closer):
        return False
    request = closer.__self__
    return not getattr(request, "_files", None) and not getattr(request._stream, "_rolled", False)
