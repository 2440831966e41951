"""Causes of thread hops, in Django's terms, and how to be without them.

A call is known by the function that was sent to the thread, and if that says nothing, by the code
that sent it. So the causes are the same whichever handler serves the request.
"""

from __future__ import annotations

import gc
import inspect
import linecache
import logging
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from django.contrib.sessions.backends.base import SessionBase
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import response_for_exception
from django.core.signals import request_finished
from django.dispatch import Signal
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.log import log_response

from turbo_orm.explain.calls import Call
from turbo_orm.explain.places import NOWHERE, Place, definition, dotted

#: The cure of what Django's own handler sends to a thread.
HANDLER = "serve it by turbo_orm.asgi.get_asgi_application()"


class Cause(NamedTuple):
    """Why a call is sent to a thread."""

    kind: str
    text: str
    place: Place
    cure: str
    #: The cure where a handler of turbo-orm serves the requests.
    cure_by_turbo_orm: str


def classify(call: Call) -> Cause:
    """Return the cause of a call. There is one for any call."""
    for rule in _RULES:
        if (cause := rule(call)) is not None:
            return cause
    return _of_sender(call)


def _cause(kind: str, text: str, place: Place | None, cure: str, ours: str | None = None) -> Cause:
    return Cause(kind, text, place or NOWHERE, cure, cure if ours is None else ours)


def _listing(names: Iterable[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return f'list {listed} in TURBO_ORM["ON_EVENT_LOOP"], if it waits for nothing but the database'


def _is_djangos(name: str) -> bool:
    return name.startswith("django.")


# What handlers call


def _middleware_method(call: Call) -> Cause | None:
    if call.owner is None or call.method not in _METHODS:
        return None
    name = dotted(type(call.owner))
    listing = _listing([name])
    own = f"{listing}, or write an async __call__()"
    cures = (HANDLER, listing) if _is_djangos(name) else (own, own)
    text = f"{call.method}() of the middleware {name} is sync"
    return _cause("middleware", text, definition(call.function), *cures)


_METHODS = {"process_request", "process_response", "process_template_response", "process_view"}


def _sync_middleware(call: Call) -> Cause | None:
    wrapped = getattr(call.function, "__wrapped__", None)
    code = getattr(call.function, "__code__", None)
    if wrapped is None or code is None or code.co_filename != _EXCEPTION_FILE:
        return None
    # Of a factory's function, the factory's name is in the settings.
    name = dotted(wrapped).partition(".<locals>")[0]
    text = f"the middleware {name} is sync, so it and all that it calls runs in a thread"
    cure = "make it async_capable, as sync_and_async_middleware() and MiddlewareMixin are"
    return _cause("middleware", text, definition(wrapped), cure)


_EXCEPTION_FILE = response_for_exception.__code__.co_filename


def _view(call: Call) -> Cause | None:
    request = call.args[0] if call.args else None
    match = getattr(request, "resolver_match", None)
    if not isinstance(request, HttpRequest) or match is None:
        return None
    if inspect.unwrap(call.function) is not inspect.unwrap(match.func):
        return None
    view = _view_of(request)
    cure = (
        "write it as async def, decorate it with @turbo_orm.on_bridge, or have all sync views on "
        'the bridge: TURBO_ORM["SYNC_VIEWS"] = "bridge"'
    )
    return _cause("view", f"the view {dotted(view)} is sync", definition(view), cure)


def _view_of(request: Any) -> Any:
    """Return the function or class of the view that a request is for, or ``None``."""
    view = inspect.unwrap(request.resolver_match.func) if request.resolver_match else None
    return getattr(view, "view_class", view)


def _template(call: Call) -> Cause | None:
    if call.method != "render" or not isinstance(call.owner, HttpResponseBase):
        return None
    template: Any = getattr(call.owner, "template_name", "")
    names = template if isinstance(template, list | tuple) else [template]
    shown = ", ".join(map(str, names))
    text = f"the {type(call.owner).__name__} is rendered: {shown}"
    ours = "render() it in the view, if the template does not query"
    request = getattr(call.owner, "_request", None)
    view = _view_of(request) if isinstance(request, HttpRequest) else None
    return _cause("template", text, definition(view or type(call.owner)), HANDLER, ours)


def _process_exception(call: Call) -> Cause | None:
    if call.method != BaseHandler.process_exception_by_middleware.__name__ or not isinstance(
        call.owner, BaseHandler
    ):
        return None
    raised = _shown(call.args[0]) if call.args else "an exception"
    handler: Any = call.owner
    methods = handler._exception_middleware or []
    names = [dotted(type(getattr(each, "__self__", each))) for each in methods]
    text = f"{raised} was raised: process_exception() of {_several(names) or 'no middleware'}"
    place = _raised_at(call.args[0]) if call.args else None
    ours = _listing(names) if names else ""
    return _cause("exception", text, place or call.sender, HANDLER, ours)


def _error_page(call: Call) -> Cause | None:
    if call.function is not response_for_exception or len(call.args) < 2:
        return None
    exc = call.args[1]
    place = _raised_at(exc) or definition(call.function)
    return _cause("error page", f"the error page of {_shown(exc)}", place, HANDLER, "")


def _logging(call: Call) -> Cause | None:
    if call.function is log_response:
        text = "log_response() calls the handlers of the logger django.request"
        return _cause("logging", text, call.sender, HANDLER, "")
    if isinstance(call.owner, logging.Handler | logging.Logger):
        text = f"{call.method}() of {dotted(type(call.owner))}"
        return _cause("logging", text, call.behalf, "use a QueueHandler, which does not wait")
    return None


def _close(call: Call) -> Cause | None:
    if call.method != "close" or not isinstance(call.owner, HttpResponseBase):
        return None
    closers: list[Any] = getattr(call.owner, "_resource_closers", [])
    closed = [getattr(each, "__self__", each) for each in closers]
    files = [dotted(type(each)) for each in closed if not isinstance(each, HttpRequest)]
    receivers, _ = request_finished._live_receivers(None)
    theirs = [receiver for receiver in receivers if not _is_djangos(dotted(receiver))]
    text = "response.close() sends request_finished"
    if theirs:
        text += f" to {_several(map(dotted, theirs))}"
    if files:
        text += f", and closes {_several(files)}"
    if not theirs:
        return _cause("close", text, call.sender, HANDLER, "")
    ours = f"{_listing(map(dotted, theirs))}, or write it as async def"
    return _cause("close", text, definition(theirs[0]), HANDLER, ours)


def _upload(call: Call) -> Cause | None:
    if call.method != "write" or "read_body" not in call.sender.function:
        return None
    text = "a body above FILE_UPLOAD_MAX_MEMORY_SIZE is written to a temporary file"
    cure = "raise FILE_UPLOAD_MAX_MEMORY_SIZE, or have files sent to the storage directly"
    return _cause("upload", text, call.sender, cure)


def _streaming(call: Call) -> Cause | None:
    if call.function is not list or not call.sender.module.startswith("django."):
        return None
    if "__aiter__" not in call.sender.function and "awrapper" not in call.sender.function:
        return None
    # The response maps its iterator to bytes, and map() keeps that in a tuple.
    inside = gc.get_referents(*call.args)
    inside += [each for kept in inside if isinstance(kept, tuple) for each in kept]
    code = next((each.gi_code for each in inside if inspect.isgenerator(each)), None)
    place = call.sender if code is None else Place(code.co_filename, code.co_firstlineno)
    text = "a StreamingHttpResponse of a sync iterator, which is read to its end before it is sent"
    return _cause("streaming", text, place, "give it an async iterator")


# What code calls


def _signal(call: Call) -> Cause | None:
    if call.method != "sync_send" or not call.function.__module__.startswith("django.dispatch"):
        return None
    variables = inspect.getclosurevars(call.function).nonlocals
    receivers = variables.get("sync_receivers", [])
    names = [dotted(receiver) for receiver in receivers]
    theirs = [name for name in names if not _is_djangos(name)]
    text = f"receivers of {_name_of_signal(variables.get('self'))}: {_several(names)}"
    if not theirs:
        place = definition(receivers[0]) if receivers else None
        return _cause("signal", text, place, HANDLER, _listing(names))
    place = definition(receivers[names.index(theirs[0])])
    return _cause("signal", text, place, f"{_listing(theirs)}, or write it as async def")


@cache
def _name_of_signal(signal: Signal) -> str:
    found = [
        (not module.endswith("signals"), f"{module}.{name}")
        for module, loaded in list(sys.modules.items())
        for name, value in list(getattr(loaded, "__dict__", {}).items())
        if value is signal
    ]
    return min(found)[1] if found else "a signal"


def _session(call: Call) -> Cause | None:
    in_module = getattr(call.function, "__module__", None) or ""
    if not isinstance(call.owner, SessionBase) and not in_module.startswith(
        "django.contrib.sessions.backends"
    ):
        return None
    cure = (
        "use the SESSION_ENGINE django.contrib.sessions.backends.db, which turbo-orm awaits, or "
        "one with async methods"
    )
    return _cause("session", f"the session store: {call.name}()", call.behalf, cure)


def _cache(call: Call) -> Cause | None:
    if not isinstance(call.owner, BaseCache):
        return None
    cure = "use a cache backend with async methods"
    if isinstance(call.owner, DummyCache | LocMemCache):
        cure = f"call {call.method}(), since it only looks into the process's memory"
    return _cause("cache", f"the cache: {call.name}()", call.behalf, cure)


def _password(call: Call) -> Cause | None:
    if not (getattr(call.function, "__module__", None) or "").startswith("django.contrib.auth"):
        return None
    if "password" not in call.method:
        return None
    text = f"a password is hashed: {call.name}()"
    return _cause("password", text, call.behalf, "")


def _authentication(call: Call) -> Cause | None:
    if call.sender.module != "django.contrib.auth.backends" or call.owner is None:
        return None
    name = dotted(type(call.owner))
    text = f"the authentication backend {name}: {call.method}()"
    return _cause("authentication", text, call.behalf, f"give it an async a{call.method}()")


def _database(call: Call) -> Cause | None:
    if not call.sender.module.startswith(("django.db.models.", "django.contrib.contenttypes.")):
        return None
    cure = (
        'query a database of turbo-orm\'s engine, with TURBO_ORM["PATCH_DJANGO"] left on, or by '
        "an AsyncManager"
    )
    return _cause("database", f"an async method of Django's: {call.name}()", call.behalf, cure)


def _name_resolution(call: Call) -> Cause | None:
    if not any(name in call.method for name in ("getaddrinfo", "getnameinfo")):
        return None
    host = call.args[0] if call.args else ""
    cure = "keep connections open, as a pool does, or name the server by its address"
    return _cause("name resolution", f"the address of {host!r} is looked up", call.behalf, cure)


# The rest


def _of_sender(call: Call) -> Cause:
    """Return the cause of which nothing but the code that sends the call is known."""
    sender = call.sender
    asynchronous = "use an async form of the call"
    if sender.owner == "project":
        line = linecache.getline(sender.file, sender.line).strip()
        shown = f"the project's own call of {call.name}()" + (f": {line}" if line else "")
        cure = f"{asynchronous}, or turbo_orm.run_sync() if it only queries"
        return _cause("call", shown, sender, cure)
    if sender.package == "debug_toolbar":
        text = f"django-debug-toolbar calls {call.name}()"
        return _cause("package", text, sender, "measure without it, as in production")
    if sender.owner == "package":
        text = f"{sender.package} calls {call.name}()"
        cure = f"{asynchronous}, if {sender.package} has one"
        return _cause("package", text, call.behalf, cure)
    if sender is NOWHERE:
        text = f"{call.name}() is sent to a thread"
        return _cause("call", text, definition(call.function), asynchronous)
    text = f"Django's {sender.function}() calls {call.name}()"
    return _cause("call", text, call.behalf, asynchronous)


def _several(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _shown(exc: Any) -> str:
    # The resolver's Http404 has a dict of all patterns.
    message = "" if isinstance(exc, Http404) else str(exc).partition("\n")[0][:200]
    return f"{type(exc).__qualname__}: {message}" if message else type(exc).__qualname__


def _raised_at(exc: Any) -> Place | None:
    """Return the innermost line of the project that an exception went through, if any."""
    traceback, found = getattr(exc, "__traceback__", None), None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = traceback.tb_frame.f_globals.get("__name__", "")
        place = Place(code.co_filename, traceback.tb_lineno, module)
        found = place if place.owner == "project" else found
        traceback = traceback.tb_next
    return found


_RULES: tuple[Callable[[Call], Cause | None], ...] = (
    _error_page,
    _logging,
    _sync_middleware,
    _middleware_method,
    _process_exception,
    _template,
    _close,
    _upload,
    _streaming,
    _view,
    _signal,
    _session,
    _cache,
    _password,
    _authentication,
    _name_resolution,
    _database,
)
