"""The storage of a request's messages, made when it is first touched.

``MessageMiddleware`` makes one for each request, a signer of cookies included. Most requests leave
it as it is.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from django.conf import global_settings, settings
from django.core.handlers.asgi import ASGIRequest as DjangosRequest
from django.core.signing import Signer, TimestampSigner
from django.http import HttpRequest
from django.utils.module_loading import import_string

from turbo_orm.bridge.replaced_methods import is_own, modifications, replaced

# Where the storage is kept, and until then what makes it.
_NAME, PENDING = "_messages", "turbo_orm_messages"
_MODULE = "django.contrib.messages.storage"
_STORAGES = "cookie.CookieStorage", "fallback.FallbackStorage", "session.SessionStorage"


class _Pending:
    """The storage of a request, and of its copies, that is yet to be made."""

    def __init__(self, request: Any, class_: Any) -> None:
        self.request = request
        self._class = class_
        self.made: Any = None

    def make(self) -> Any:
        if self.made is None:
            self.made = self._class(self.request)
        return self.made


class _Lazy:
    """Has the storage made. What is set on the request takes its place."""

    def __get__(self, request: Any, owner: type) -> Any:
        pending = None if request is None else request.__dict__.pop(PENDING, None)
        if pending is None:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {_NAME!r}")
        storage = request.__dict__[_NAME] = pending.make()
        return storage


class ASGIRequest(DjangosRequest):
    """Django's request, whose messages may be put off."""

    _messages = _Lazy()

    def __delattr__(self, name: str) -> None:
        # It may be what is deleted, or need it.
        getattr(self, _NAME, None)
        super().__delattr__(name)


def put_off(request: Any) -> bool:
    """Put off the storage of a request, if it is certain that Django would make one of its own."""
    if request.__class__ is not ASGIRequest or "session" not in request.__dict__:
        return False
    class_ = _storage_class()
    if class_ is None:
        return False
    request.__dict__.pop(_NAME, None)
    request.__dict__[PENDING] = _Pending(request, class_)
    return True


def is_put_off(request: Any) -> bool:
    """Return whether the storage of a request has not been made, by itself or by a copy."""
    if request.__class__ is not ASGIRequest:
        return False
    pending = request.__dict__.get(PENDING)
    return pending is not None and pending.made is None and _NAME not in request.__dict__


# The class, or None for one that may do anything; and the function of Django's that makes it.
_known: dict[str, Any] = {}
modifications.listen(_known.clear)


def forget() -> None:
    """Look at the settings anew."""
    _known.clear()


def _storage_class() -> Any:
    makes = sys.modules["django.contrib.messages.middleware"].default_storage
    if not _known:
        _known.update({"class": _look_at(makes), "makes": makes})
    return _known["class"] if _known["makes"] is makes else None


def _look_at(makes: Any) -> Any:
    """Return the class of Django's that the settings name, if it is as Django has it."""
    class_ = import_string(settings.MESSAGE_STORAGE)
    classes = [import_string(f"{_MODULE}.{name}") for name in _STORAGES]
    if (
        class_ in classes
        and settings.SIGNING_BACKEND == global_settings.SIGNING_BACKEND
        and is_own(makes)
        and not replaced(*classes, classes[0].__base__, Signer, TimestampSigner)
    ):
        request: Any = HttpRequest()
        request.session = None
        # Without a secret key, it is an error of each request.
        with suppress(Exception):
            class_(request)
            return class_
    return None
