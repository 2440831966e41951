"""Views and middleware that do to the storage of messages what can be done to an attribute."""

from copy import copy
from typing import Any

from django.contrib import messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpResponse
from django.urls import path
from django.utils.deprecation import MiddlewareMixin


def untouched(request):
    return "nothing"


def added(request):
    messages.info(request, "added")
    return "added"


def shown(request):
    return [str(each) for each in messages.get_messages(request)]


def typed(request):
    storage = request._messages
    return type(storage).__name__, storage.request is request, storage is request._messages


def seen(request):
    return hasattr(request, "_messages"), "_messages" in dir(request), repr(request)


def set_(request):
    request._messages = CookieStorage(request)
    messages.info(request, "of the view")
    return type(request._messages).__name__


def deleted(request):
    del request._messages
    return hasattr(request, "_messages"), list(messages.get_messages(request))


def deleted_twice(request):
    del request._messages
    try:
        del request._messages
    except AttributeError:
        return "is gone"


def without_session(request):
    del request.session
    return type(request._messages).__name__


def of_copy(request):
    other = copy(request)
    messages.info(other, "of the copy")
    return other._messages is request._messages, other._messages.request is request


def copied_later(request):
    messages.info(request, "before")
    other = copy(request)
    messages.info(other, "after")
    return other._messages is request._messages


def failing(request):
    messages.info(request, "before")
    raise KeyError("of the view")


VIEWS = [
    untouched,
    added,
    shown,
    typed,
    seen,
    set_,
    deleted,
    deleted_twice,
    without_session,
    of_copy,
    copied_later,
    failing,
]


def _async(view: Any) -> Any:
    async def respond(request: Any) -> HttpResponse:
        return HttpResponse(repr(view(request)))

    return respond


urlpatterns = [path(view.__name__, _async(view)) for view in VIEWS]


class OwnStorage(FallbackStorage):
    """A storage of the project's."""

    def __init__(self, request, *args, **kwargs):
        super().__init__(request, *args, **kwargs)
        self.add(messages.INFO, "of the storage")


class AddsOne(MiddlewareMixin):
    """Adds a message to each response."""

    def process_response(self, request, response):
        messages.info(request, f"{response.status_code}", fail_silently=True)
        return response
