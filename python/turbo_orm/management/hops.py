"""``manage.py turbo_orm hops /path/``: the thread hops of a request, and what to do about them."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from turbo_orm.explain.causes import HANDLER
from turbo_orm.explain.hops import Hop
from turbo_orm.explain.places import dotted
from turbo_orm.explain.requests import Request, Result, application, is_turbo_orms, perform

DESCRIPTION = (
    "Performs a request in this process, by the project's ASGI application, and lists its thread "
    "hops: what leaves the event loop for a thread, why, in whose behalf, and how to be without "
    "it. The request is real: it writes what it writes."
)

_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}


def add_arguments(parser: CommandParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("path", help="the path, with a query string if any: /books/?page=2")
    parser.add_argument(
        "--application",
        metavar="MODULE:NAME",
        help="the ASGI application (default: that of settings.ASGI_APPLICATION, or Django's)",
    )
    parser.add_argument("--method", help="the method (default: GET, or POST with --data)")
    parser.add_argument(
        "--data",
        metavar="BODY",
        help="the body, as of a form unless there is a header Content-Type; @FILE is a file's",
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        dest="headers",
        metavar="NAME:VALUE",
        type=_header,
        help="a header; may be given more than once",
    )
    parser.add_argument(
        "--user",
        metavar="USERNAME",
        help="log this user in by a session, which is deleted afterwards",
    )
    parser.add_argument(
        "--warm",
        default=1,
        metavar="N",
        type=_count,
        help="requests before the one that is reported (default: 1, which imports and connects)",
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object")
    parser.add_argument(
        "--max",
        metavar="N",
        type=_count,
        help="the exit status is 1 if there are more hops than this",
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE")
    return name.strip(), value.strip()


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return int(text)


def handle(command: BaseCommand, options: dict[str, Any]) -> None:
    """Perform the request, and write the report.

    Raises ``CommandError``, which makes the exit status 1: for options that the project has no
    use for, if the application raises or answers with a status of 500 or more, and if there are
    more hops than ``--max``.
    """
    served_by = _application(options["application"])
    request = _request(options)
    with _logged_in(options["user"], request):
        if request.method not in _SAFE:
            request.allow_by_csrf()
        result = asyncio.run(perform(served_by, request, warm=options["warm"]))
    write = _write_json if options["json"] else _write
    write(command, served_by, request, result)
    if result.exception is not None:
        command.stderr.write("".join(traceback.format_exception(result.exception)))
        raise CommandError(f"The application has raised {type(result.exception).__qualname__}.")
    if result.status is None or result.status >= 500:
        raise CommandError(f"There is an error in the application: {_answer(result)}.")
    total, most = len(result.recording.hops), options["max"]
    if most is not None and total > most:
        raise CommandError(f"There are {total} thread hops, and --max is {most}.")


def _application(path: str | None) -> Any:
    try:
        return application(path)
    except ImportError as exc:
        raise CommandError(f"The ASGI application cannot be imported: {exc}") from exc


def _request(options: dict[str, Any]) -> Request:
    path, data = options["path"], options["data"]
    if not path.startswith("/"):
        raise CommandError(f"The path has to begin with a slash: /{path}")
    body = b"" if data is None else data.encode()
    if data is not None and data.startswith("@"):
        try:
            body = Path(data[1:]).read_bytes()
        except OSError as exc:
            raise CommandError(f"The body cannot be read: {exc}") from exc
    method = options["method"] or ("GET" if data is None else "POST")
    return Request(path, method.upper(), list(options["headers"]), {}, body)


@contextmanager
def _logged_in(username: str | None, request: Request) -> Iterator[None]:
    """Give a request the cookie of a session in which a user is logged in."""
    if username is None:
        yield
        return
    for app in ("django.contrib.auth", "django.contrib.sessions"):
        if not apps.is_installed(app):
            raise CommandError(f"--user needs {app} in INSTALLED_APPS.")
    from django.contrib.auth import get_user_model
    from django.test import Client

    users = get_user_model()
    try:
        user = users._default_manager.get_by_natural_key(username)  # type: ignore[attr-defined]
    except users.DoesNotExist:
        raise CommandError(f"There is no user {username!r}.") from None
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    request.cookies[name] = client.cookies[name].value
    try:
        yield
    finally:
        client.session.delete()


# The report


def _write_json(command: BaseCommand, served_by: Any, request: Request, result: Result) -> None:
    exception = result.exception
    found = {
        "method": request.method,
        "path": request.path,
        "application": dotted(served_by),
        "by_turbo_orm": result.recording.by_turbo_orm,
        "status": result.status,
        "location": result.location,
        "bytes": result.size,
        "milliseconds": round(result.milliseconds, 3),
        "exception": None if exception is None else repr(exception),
        **result.recording.as_dict(),
    }
    command.stdout.write(json.dumps(found, indent=2))


def _write(command: BaseCommand, served_by: Any, request: Request, result: Result) -> None:
    style, write = command.style, command.stdout.write
    write(style.MIGRATE_HEADING(f"{request.method} {request.path}"))
    write(f"  {_answer(result)}, by {dotted(served_by)}")
    if not is_turbo_orms(served_by):
        write(
            style.WARNING(
                "  First, serve it by turbo_orm.asgi.get_asgi_application() in asgi.py: it calls\n"
                "  Django's own middleware, and what handlers do besides, on the event loop."
            )
        )
    number = 1
    for hop, alike in groupby(result.recording.hops):
        count = len(list(alike))
        numbers = str(number) if count == 1 else f"{number}-{number + count - 1}"
        write(f"{numbers}. {style.MIGRATE_LABEL(hop.cause)}")
        for line in _details(hop):
            write(f"     {line}")
        number += count
    write(style.MIGRATE_HEADING(_totals(result)))


def _answer(result: Result) -> str:
    to = f" to {result.location}" if result.location else ""
    status = "no response" if result.status is None else f"{result.status}{to}"
    return f"{status}, {result.size} bytes, {result.milliseconds:.1f} ms"


def _details(hop: Hop) -> Iterator[str]:
    if hop.file:
        yield f"{_relative(hop.file)}:{hop.line} ({hop.thread})"
    if hop.cure == HANDLER:
        yield "cure: the application, see above"
    elif hop.cure:
        yield f"cure: {hop.cure}"
    else:
        yield "best left in a thread"


def _relative(file: str) -> str:
    directory = os.getcwd() + os.sep
    return file.removeprefix(directory)


def _totals(result: Result) -> str:
    recorded = result.recording
    return ", ".join(
        f"{count} {what}{'' if count == 1 else 's'} {done}".rstrip()
        for count, what, done in (
            (len(recorded.hops), "thread hop", ""),
            (recorded.threads_started, "thread", "started"),
            (recorded.tasks_created, "task", "created"),
        )
    )
