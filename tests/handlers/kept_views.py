"""Views that keep a request, or a part of it, for longer than it is answered."""

import asyncio
from copy import copy
from typing import Any
from weakref import ref

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.urls import path

from turbo_orm import on_bridge

requests: list[Any] = []
kept: list[Any] = []


def untouched(request: Any) -> None:
    """Touch nothing."""


def user(request: Any) -> None:
    assert request.user.is_anonymous


def failing(request: Any) -> None:
    raise Http404("of the view")


def keeping_request(request: Any) -> None:
    kept.append(request)


def keeping_answered_user(request: Any) -> None:
    kept.append(request.user)
    assert request.user.is_anonymous


def keeping_user(request: Any) -> None:
    kept.append(request.user)


def keeping_function(request: Any) -> None:
    kept.append(request.auser)


def keeping_copied_user(request: Any) -> None:
    kept.append(copy(request.user))


def keeping_method(request: Any) -> None:
    kept.append(request.get_host)


def keeping_copy(request: Any) -> None:
    kept.append(copy(request))


def keeping_function_of_own(request: Any) -> None:
    kept.append(lambda: request.user.is_anonymous)


def keeping_messages(request: Any) -> None:
    messages.info(request, "of the view")
    kept.append(request._messages)


def referring_to_itself(request: Any) -> None:
    request.itself = request
    kept.append(request.user)


FREED = [untouched, user, failing]
KEEPING = [
    keeping_request,
    keeping_answered_user,
    keeping_user,
    keeping_function,
    keeping_copied_user,
    keeping_method,
    keeping_copy,
    keeping_function_of_own,
    keeping_messages,
    referring_to_itself,
]


def _async(view: Any) -> Any:
    async def respond(request: Any) -> HttpResponse:
        requests.append(ref(request))
        view(request)
        await asyncio.sleep(0)
        return HttpResponse("answered")

    return respond


async def auser(request: Any) -> HttpResponse:
    requests.append(ref(request))
    assert (await request.auser()).is_anonymous
    return HttpResponse("answered")


@on_bridge
def bridged(request: Any) -> HttpResponse:
    requests.append(ref(request))
    assert request.user.is_anonymous
    return HttpResponse("answered")


urlpatterns = [
    *[path(view.__name__, _async(view)) for view in [*FREED, *KEEPING]],
    path("auser", auser),
    path("bridged", bridged),
]


async def seen(thing: Any) -> Any:
    """Return what can be seen of what was kept."""
    if hasattr(thing, "META"):
        storage = thing._messages
        function = await thing.auser()
        return [
            [thing.user.is_anonymous, function.is_anonymous, type(storage).__name__],
            [storage.request is thing, sorted({*vars(thing)} - {"turbo_orm_messages"})],
        ]
    if isinstance(thing, messages.storage.base.BaseStorage):
        return [str(each) for each in thing], thing.request.user.is_anonymous
    if hasattr(thing, "is_anonymous"):
        request = next((each() for each in requests if each() is not None), None)
        return thing.is_anonymous, request is None or request.user.is_anonymous
    if asyncio.iscoroutinefunction(getattr(thing, "func", None)):
        request = thing.args[0]
        return (await thing()).is_anonymous, request.user.is_anonymous, request.auser is thing
    if hasattr(thing, "__self__"):
        return thing(), thing.__self__.user.is_anonymous, len(list(thing.__self__._messages))
    return thing()
