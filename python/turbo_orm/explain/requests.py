"""Requests that an ASGI application serves in this process, as a server would have it do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.signals import got_request_exception
from django.middleware.csrf import CSRF_ALLOWED_CHARS, CSRF_SECRET_LENGTH
from django.utils.crypto import get_random_string
from django.utils.module_loading import import_string

from turbo_orm.explain.hops import Recording, recording
from turbo_orm.explain.places import dotted

# What servers read of a body at once.
_CHUNK = 65_536


def application(path: str | None = None) -> Any:
    """Return the project's ASGI application: a named one, that of the settings, or Django's.

    ``path`` is ``"package.module:name"`` or ``"package.module.name"``, as is
    ``settings.ASGI_APPLICATION``, which Channels and Daphne read. Raises ``ImportError``.
    """
    path = path or getattr(settings, "ASGI_APPLICATION", None)
    return import_string(path.replace(":", ".")) if path else get_asgi_application()


def is_turbo_orms(application: Any) -> bool:
    """Return whether a handler of turbo-orm serves the requests, be it behind others."""
    seen: list[Any] = []
    while application is not None and not any(application is each for each in seen):
        seen.append(application)
        if dotted(application).startswith("turbo_orm."):
            return True
        by_protocol = getattr(application, "application_mapping", {})  # of Channels
        wrapped = [
            getattr(application, name, None) for name in ("application", "app", "__wrapped__")
        ]
        application = next(filter(None, [by_protocol.get("http"), *wrapped]), None)
    return False


@dataclass
class Request:
    """What is asked for. Without a header ``Host``, it is one that the project allows."""

    path: str
    method: str = "GET"
    headers: list[tuple[str, str]] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def scope(self) -> dict[str, Any]:
        """Return the scope of ASGI."""
        path, _, query = self.path.partition("?")
        given = {name.lower() for name, _ in self.headers}
        host = allowed_host()
        scheme = "https" if settings.SECURE_SSL_REDIRECT else "http"
        headers = list(self.headers)
        if "host" not in given:
            headers.insert(0, ("host", host))
        if self.body and "content-length" not in given:
            headers.append(("content-length", str(len(self.body))))
        if self.body and "content-type" not in given:
            headers.append(("content-type", "application/x-www-form-urlencoded"))
        if self.cookies:
            cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            headers.append(("cookie", cookies))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": scheme,
            "path": unquote_to_bytes(path).decode(),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in headers
            ],
            "client": ("127.0.0.1", 0),
            "server": (host, 443 if scheme == "https" else 80),
        }

    def allow_by_csrf(self) -> None:
        """Add the token that ``CsrfViewMiddleware`` asks for where it is kept in a cookie."""
        token = get_random_string(CSRF_SECRET_LENGTH, CSRF_ALLOWED_CHARS)
        scheme = "https" if settings.SECURE_SSL_REDIRECT else "http"
        self.cookies.setdefault(settings.CSRF_COOKIE_NAME, token)
        name = settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-")
        self.headers.append((name, self.cookies[settings.CSRF_COOKIE_NAME]))
        given = {name.lower(): value for name, value in self.headers}
        if "origin" not in given:
            self.headers.append(("origin", f"{scheme}://{given.get('host', allowed_host())}"))


def allowed_host() -> str:
    """Return a host that ``ALLOWED_HOSTS`` has, or that tests and ``DEBUG`` allow."""
    for host in settings.ALLOWED_HOSTS:
        if host != "*":
            # Of a domain with all below it, the domain itself.
            return str(host).removeprefix(".")
    return "testserver" if settings.ALLOWED_HOSTS else "localhost"


@dataclass
class Result:
    """What a request got, and what it took."""

    recording: Recording
    status: int | None = None
    location: str | None = None
    size: int = 0
    milliseconds: float = 0.0
    #: What the application has raised, to the server or to Django's error page.
    exception: BaseException | None = None


async def perform(application: Any, request: Request, warm: int = 1) -> Result:
    """Perform a request, after so many that warm up, each in a task of its own.

    What the application raises is the result's ``exception``. Where Django answers with an error
    page, it is what the last request of the warm-up has raised: a receiver of
    ``got_request_exception``, which takes it, might itself be a reason for a hop.
    """
    raised: BaseException | None = None

    def receive(**named: Any) -> None:
        nonlocal raised
        raised = sys.exception()

    got_request_exception.connect(receive)
    try:
        for _ in range(warm):
            await asyncio.create_task(_perform(application, request))
    finally:
        got_request_exception.disconnect(receive)
    result = await asyncio.create_task(_perform(application, request))
    if result.exception is None and (result.status or 0) >= 500:
        result.exception = raised
    return result


async def _perform(application: Any, request: Request) -> Result:
    with recording(by_turbo_orm=is_turbo_orms(application)) as recorded:
        result = Result(recorded)
        exchange = _Exchange(request.body, result)
        begin = perf_counter()
        try:
            await application(request.scope(), exchange.receive, exchange.send)
        except Exception as exc:
            result.exception = exc
        result.milliseconds = (perf_counter() - begin) * 1000
    return result


class _Exchange:
    """The messages of a request: the body in pieces, and when all is sent, the disconnection."""

    def __init__(self, body: bytes, result: Result) -> None:
        self._pieces = _messages(body)
        self._result = result
        self._sent = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        for message in self._pieces:
            return message
        await self._sent.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._result.status = message["status"]
            headers = {bytes(name).lower(): value for name, value in message.get("headers", ())}
            location = headers.get(b"location")
            self._result.location = location and bytes(location).decode("latin-1")
        elif message["type"] == "http.response.body":
            self._result.size += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._sent.set()


def _messages(body: bytes) -> Iterable[dict[str, Any]]:
    pieces = range(0, max(len(body), 1), _CHUNK)
    return iter(
        [
            {
                "type": "http.request",
                "body": body[begin : begin + _CHUNK],
                "more_body": begin + _CHUNK < len(body),
            }
            for begin in pieces
        ]
    )
