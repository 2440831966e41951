"""Where the response for an exception is made, and where responses are logged.

The error views of the project run where its sync views do. Logging goes to a thread where a
handler may wait for a server: that which mails to ``ADMINS`` does.
"""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.urls import get_resolver, get_urlconf
from django.utils.log import AdminEmailHandler

from turbo_orm.handlers.places import Place, dotted_name, place_of_view
from turbo_orm.handlers.receivers import place_of_receivers
from turbo_orm.handlers.stores import place_of_databases

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (Http404, 404),
    (PermissionDenied, 403),
    (MultiPartParserError, 400),
    (BadRequest, 400),
    (SuspiciousOperation, 400),
)
# They write to a stream, a file or a queue, or nowhere.
_LOCAL = (
    logging.StreamHandler,
    logging.NullHandler,
    logging.handlers.QueueHandler,
    logging.handlers.MemoryHandler,
)


def place_of_error_page(request: Any, exc: Exception) -> Place:
    """Return where the response for an exception is made."""
    status = next((status for kind, status in _STATUS if isinstance(exc, kind)), 500)
    logger, level = "django.request", logging.ERROR if status == 500 else logging.WARNING
    if isinstance(exc, SuspiciousOperation):
        logger, level = f"django.security.{type(exc).__name__}", logging.ERROR
    if not _is_logged_locally(logger, level):
        return Place.THREAD
    if status == 500 and place_of_receivers(got_request_exception, None) is Place.THREAD:
        return Place.THREAD
    if settings.DEBUG:
        return place_of_databases()
    try:
        view = get_resolver(get_urlconf()).resolve_error_handler(status)
    except Exception:
        # Django raises it, too, where the response is made.
        return Place.BRIDGE
    is_djangos = dotted_name(view).startswith("django.views.defaults.")
    return place_of_databases() if is_djangos else place_of_view(view)


def place_of_log(response: Any) -> Place:
    """Return where a response of the status 400 or above is logged."""
    if getattr(response, "_has_been_logged", False):
        return Place.INLINE
    level = logging.ERROR if response.status_code >= 500 else logging.WARNING
    return Place.INLINE if _is_logged_locally("django.request", level) else Place.THREAD


def _is_logged_locally(name: str, level: int) -> bool:
    return all(
        isinstance(handler, _LOCAL) or (type(handler) is AdminEmailHandler and not settings.ADMINS)
        for handler in _handlers(logging.getLogger(name))
        if handler.level <= level
    )


def _handlers(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None
