"""Asks an ASGI application in this process, and keeps all that can be seen of how it answers."""

import asyncio
import gc
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import Context
from typing import Any, NamedTuple

from asgiref.sync import SyncToAsync
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import got_request_exception, request_finished, request_started
from django.test import AsyncRequestFactory

from turbo_orm.handlers.asgi import ASGIHandler as EventLoopHandler
from turbo_orm.handlers.calls import handled_request

SIGNALS = {
    "started": request_started,
    "exception": got_request_exception,
    "finished": request_finished,
}
HANDLERS = {"django": ASGIHandler, "turbo": EventLoopHandler}

# What differs from one answer to the next, of whatever handler.
_RANDOM = [
    (re.compile(rb"0x[0-9a-f]{6,}"), b"0x"),
    (re.compile(rb"(csrftoken=|sessionid=|messages=)[^;]+"), rb"\1"),
    (re.compile(rb"(expires=)[^;]+"), rb"\1"),
]


class Answer(NamedTuple):
    """What one request has led to."""

    status: int | None
    headers: list[tuple[bytes, bytes]]
    body: bytes
    signals: list[str]
    logs: list[str]
    raised: str | None

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def header(self) -> dict[str, str]:
        return {name.decode().lower(): value.decode() for name, value in self.headers}

    @property
    def cookies(self) -> str:
        """Return the cookies that it sets, as the header that sends them back."""
        found = [value for name, value in self.headers if name == b"Set-Cookie"]
        return "; ".join(value.decode().partition(";")[0] for value in found)

    def compared(self) -> "Answer":
        """Return it without what differs from one answer to the next."""
        body = self.body
        for pattern, replacement in _RANDOM:
            body = pattern.sub(replacement, body)
        headers = []
        for name, value in self.headers:
            if name == b"Expires":
                value = b""
            for pattern, replacement in _RANDOM:
                value = pattern.sub(replacement, value)
            headers.append((name, value))
        return self._replace(headers=headers, body=body)


class _Records(logging.StreamHandler[Any]):
    """Keeps records. It is of a class that the handler takes for local."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__()
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        raised = record.exc_info[0] if record.exc_info else None
        status = getattr(record, "status_code", None)
        name = getattr(raised, "__name__", None)
        self._kept.append(
            f"{record.name} {record.levelname} {record.getMessage()} {status} {name}"
        )


class _SlowRecords(logging.Handler):
    """Keeps them as well, and may wait for anything, for all that the handler knows."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__()
        self.emit = _Records(kept).emit  # type: ignore[method-assign]


@contextmanager
def logged(kept: list[str], *, is_local: bool) -> Iterator[None]:
    logger = logging.getLogger("django")
    handler: logging.Handler = _Records(kept) if is_local else _SlowRecords(kept)
    before = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before[:2]
        logger.setLevel(before[2])


@contextmanager
def _received(kept: list[str]) -> Iterator[None]:
    receivers = []
    for name, signal in SIGNALS.items():

        def receive(sender: Any, name: str = name, **kwargs: Any) -> None:
            named = sorted(set(kwargs) - {"signal"})
            kept.append(f"{name} {getattr(sender, '__name__', sender)} {named}")

        receivers.append((signal, receive))
        signal.connect(receive)
    try:
        yield
    finally:
        for signal, receive in receivers:
            signal.disconnect(receive)


class Client:
    """What a server and its client are to an application: the two functions, and the scope."""

    def __init__(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        body: bytes = b"",
        parts: list[bytes] | None = None,
        headers: dict[str, str] | None = None,
        **scope: Any,
    ) -> None:
        given = {"host": "testserver", **(headers or {})}
        parts = [body] if parts is None else parts
        if any(parts):
            given.setdefault("content-length", str(sum(map(len, parts))))
        path, _, query = path.partition("?")
        self.scope = AsyncRequestFactory()._base_scope(path=path, method=method)
        self.scope |= {
            "headers": [
                (name.lower().encode("latin1"), value.encode("latin1"))
                for name, value in given.items()
            ],
            "query_string": query.encode(),
            **scope,
        }
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for index, part in enumerate(parts):
            more = index < len(parts) - 1
            self.incoming.put_nowait({"type": "http.request", "body": part, "more_body": more})
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def leave(self) -> None:
        """Have the client go."""
        self.incoming.put_nowait({"type": "http.disconnect"})

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return self.sent[0]["headers"] if self.sent else []

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


async def ask(
    application: Any,
    *given: Any,
    signals: bool = True,
    is_local: bool | None = True,
    **kwargs: Any,
) -> Answer:
    """Ask an application as a server does: in a task of its own, that has nothing of ours.

    ``is_local`` says by what it is logged: ``None`` is for requests side by side, which cannot
    each have a log of their own, nor ``signals``.
    """
    client = Client(*given, **kwargs)
    received: list[str] = []
    logs: list[str] = []
    raised = None
    context = Context()
    with nullcontext() if is_local is None else logged(logs, is_local=is_local):
        if signals:
            receiving = _received(received)
            receiving.__enter__()
        task = asyncio.create_task(
            application(client.scope, client.receive, client.send), context=context
        )
        try:
            await task
        except Exception as exc:
            raised = f"{type(exc).__name__}: {exc}"
        finally:
            if signals:
                receiving.__exit__(None, None, None)
    assert context.get(handled_request) is None
    return Answer(client.status, client.headers, client.body, received, logs, raised)


class Hops:
    """Counts what is given to threads, by name."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __enter__(self) -> "Hops":
        self._original = SyncToAsync.__call__
        names = self.names

        async def counted(hop: Any, *args: Any, **kwargs: Any) -> Any:
            function = hop.func
            names.append(getattr(function, "__qualname__", type(function).__qualname__))
            return await self._original(hop, *args, **kwargs)

        SyncToAsync.__call__ = counted  # type: ignore[method-assign]
        return self

    def __exit__(self, *exc: object) -> None:
        SyncToAsync.__call__ = self._original  # type: ignore[method-assign]


async def in_both(*requests: tuple[Any, dict[str, Any]]) -> tuple[list[Answer], list[Answer]]:
    """Ask both handlers the same, one request after the other; cookies are kept."""
    found = []
    for handler in HANDLERS.values():
        application = handler()
        cookies: dict[str, str] = {}
        answers = []
        for given, kwargs in requests:
            headers = dict(kwargs.get("headers", {}))
            if cookies:
                headers["cookie"] = "; ".join(f"{k}={v}" for k, v in cookies.items())
            form = kwargs.get("form")
            options = {k: v for k, v in kwargs.items() if k not in {"headers", "form"}}
            if form is not None:
                form = form.replace("TOKEN", cookies.get("csrftoken", ""))
                options |= {"method": "POST", "body": form.encode()}
                headers.setdefault("content-type", "application/x-www-form-urlencoded")
            headers = {
                k: v.replace("TOKEN", cookies.get("csrftoken", "")) for k, v in headers.items()
            }
            answer = await ask(application, *given, headers=headers, **options)
            for pair in filter(None, answer.cookies.split("; ")):
                name, _, value = pair.partition("=")
                cookies[name] = value
            answers.append(answer)
        found.append(answers)
        # What is left of a request is found by the garbage collector, which warns.
        gc.collect()
    return found[0], found[1]
