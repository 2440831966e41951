"""Middleware of Django's kind as one coroutine, where Django has four for each.

``MiddlewareMixin`` calls ``process_request()``, what is below it, and ``process_response()``. What
is so by Django's own methods is called here as if it were nested, and so are the conversions of
exceptions in between. What has another ``__call__()`` stays by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, NamedTuple

from django.core.handlers import exception
from django.utils import deprecation
from django.utils.deprecation import MiddlewareMixin

from turbo_orm._core import watch_class
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.handlers.middleware import Rule, in_any_case, rule_of, rules_version
from turbo_orm.handlers.places import Place

type Handler = Callable[[Any], Awaitable[Any]]

_INLINE, _NOWHERE = Place.INLINE, Place.NOWHERE
_CALLS = "__call__", "__acall__"
_DJANGOS = tuple([vars(MiddlewareMixin)[name] for name in _CALLS])


async def _nothing(request: Any) -> Any:
    """Do nothing."""


# The code of what Django makes of a coroutine function, to convert its exceptions.
_convert: Any = exception.convert_exception_to_response
_CONVERTS = _convert(_nothing).__code__


class _Link(NamedTuple):
    """Middleware, and the rules of where its methods run: ``None`` for one that it has not."""

    middleware: Any
    of_request: Rule | None
    of_response: Rule | None


class _Joined:
    """What is known of a handler that was joined."""

    def __init__(self, below: Handler, middleware: tuple[Any, ...]) -> None:
        #: What the innermost middleware calls.
        self.below = below
        #: What that converts the exceptions of, if it is Django's function that does.
        self.unconverted: Handler | None = None
        if getattr(below, "__code__", None) is _CONVERTS:
            self.unconverted = below.__wrapped__  # type: ignore[attr-defined]
        #: From the outermost to the innermost.
        self.middleware = middleware
        self._links: tuple[_Link, ...] | None = ()
        self._version = -1

    def links(self) -> tuple[_Link, ...] | None:
        """Return the middleware with its rules, ``None`` if Django's methods were replaced."""
        if self._version != rules_version():
            # Read first: to look at a class for the first time is no modification.
            self._version = rules_version()
            is_djangos = all(map(_is_joinable, self.middleware))
            self._links = tuple(map(_link, self.middleware)) if is_djangos else None
        return self._links


_ATTRIBUTE = "turbo_orm_joined"


def joined(handler: Any) -> Any:
    """Return a handler that does what one of Django's does, joined with what it calls.

    ``handler`` is what Django has made of middleware by ``convert_exception_to_response()``. It is
    returned itself if its middleware is of another kind.
    """
    middleware = getattr(handler, "__wrapped__", None)
    if not _is_joinable(middleware):
        return handler
    below: Handler = middleware.get_response  # type: ignore[union-attr]
    inner: _Joined | None = getattr(below, _ATTRIBUTE, None)
    if inner is None:
        chain = _Joined(below, (middleware,))
    else:
        chain = _Joined(inner.below, (middleware, *inner.middleware))

    @wraps(handler)
    async def respond(request: Any) -> Any:
        links = chain.links()
        if links is None:
            return await handler(request)
        depth = 0
        response: Any = None
        try:
            for link in links:
                depth += 1
                if (rule := link.of_request) is not None:
                    middleware = link.middleware
                    place = rule if isinstance(rule, Place) else rule(middleware, request)
                    if place is _INLINE:
                        response = middleware.process_request(request)
                    elif place is not _NOWHERE:
                        response = await _elsewhere(middleware.process_request)(request)
                    if response:
                        break
            else:
                if (handle := chain.unconverted) is None:
                    response = await chain.below(request)
                else:
                    try:
                        response = await handle(request)
                    except Exception as exc:
                        response = await _of_exception(request, exc)
        except Exception as exc:
            # It leaves the middleware that was called last, whose response is not processed.
            depth -= 1
            response = await _of_exception(request, exc)
        while depth:
            depth -= 1
            middleware, _, rule = links[depth]
            if rule is not None:
                try:
                    place = (
                        rule if isinstance(rule, Place) else rule(middleware, request, response)
                    )
                    if place is _INLINE:
                        response = middleware.process_response(request, response)
                    elif place is not _NOWHERE:
                        response = await _elsewhere(middleware.process_response)(request, response)
                except Exception as exc:
                    response = await _of_exception(request, exc)
        return response

    setattr(respond, _ATTRIBUTE, chain)
    return respond


def _elsewhere(method: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return what ``MiddlewareMixin`` awaits."""
    adapt: Any = deprecation.sync_to_async  # type: ignore[attr-defined]
    call: Callable[..., Awaitable[Any]] = adapt(method, thread_sensitive=True)
    return call


def _of_exception(request: Any, exc: Exception) -> Awaitable[Any]:
    """Return what ``convert_exception_to_response()`` awaits."""
    adapt: Any = exception.sync_to_async  # type: ignore[attr-defined]
    convert: Callable[..., Awaitable[Any]] = adapt(
        exception.response_for_exception, thread_sensitive=False
    )
    return convert(request, exc)


def _is_joinable(middleware: Any) -> bool:
    """Return whether it is called by Django's own methods, in async code."""
    kind = type(middleware)
    return (
        issubclass(kind, MiddlewareMixin)
        and middleware.async_mode
        and watch_class(kind)
        and tuple([getattr(kind, name) for name in _CALLS]) == _DJANGOS
        and not any(name in vars(middleware) for name in _CALLS)
        and all(map(is_own, _DJANGOS))
    )


def _link(middleware: Any) -> _Link:
    return _Link(
        middleware,
        *[
            _rule(middleware, name) if hasattr(middleware, name) else None
            for name in ("process_request", "process_response")
        ],
    )


def _rule(middleware: Any, name: str) -> Rule:
    rule = rule_of(middleware, name)
    return in_any_case(rule) if name in vars(middleware) else rule
