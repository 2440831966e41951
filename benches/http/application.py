"""The applications: a bare one, for ASGI and for WSGI, and those of Django's handlers.

``/list/17`` has the response for the entry of this key, ``/list`` that for any entry.
"""

from collections.abc import Callable, Iterable
from typing import Any

from benches.http import answer
from benches.http.contender import Contender
from benches.http.endpoints import any_key

_TYPE = "application/json"


def endpoint_and_key(path: str) -> tuple[str, int]:
    """Return the endpoint and the key that a path names."""
    endpoint, _, key = path.strip("/").partition("/")
    return endpoint, int(key) if key else any_key()


def bare_asgi(contender: Contender) -> Any:
    """Return an ASGI application that does nothing but answer."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        body = answer.body(await contender.respond(*endpoint_and_key(scope["path"])))
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", _TYPE.encode()),
                    (b"content-length", b"%d" % len(body)),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})

    return application


def bare_wsgi(contender: Any) -> Any:
    """Return a WSGI application that does nothing but answer."""

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        endpoint, key = endpoint_and_key(environ["PATH_INFO"])
        body = answer.body(getattr(contender, endpoint)(key))
        start("200 OK", [("Content-Type", _TYPE), ("Content-Length", str(len(body)))])
        return [body]

    return application


def django(contender: Any) -> Any:
    """Return the application of a contender's handler, whose view is sync or async as that is."""
    from django.http import HttpRequest, HttpResponse

    async def view(request: HttpRequest, path: str) -> HttpResponse:
        endpoint, key = endpoint_and_key(path)
        result = await getattr(contender, endpoint)(key)
        return HttpResponse(answer.body(result), content_type=_TYPE)

    def sync_view(request: HttpRequest, path: str) -> HttpResponse:
        endpoint, key = endpoint_and_key(path)
        result = getattr(contender, endpoint)(key)
        return HttpResponse(answer.body(result), content_type=_TYPE)

    _route(sync_view if contender.is_sync else view)
    return contender.handler()


def startproject(contender: Any) -> Any:
    """Return the same with the middleware of ``startproject``, and a view of REST framework."""
    from benches.http import urls

    if contender.is_sync:
        from benches.http import serialized

        urls.urlpatterns.extend(serialized.urlpatterns)
    return django(contender)


def _route(view: Callable[..., Any]) -> None:
    from django.urls import path

    from benches.http import urls

    urls.urlpatterns.append(path("<path:path>", view))


def living(contender: Contender, application: Any) -> Any:
    """Return an ASGI application whose contender is connected for as long as the server runs."""

    async def living(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        await receive()
        await contender.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await contender.close()
        await send({"type": "lifespan.shutdown.complete"})

    return living
