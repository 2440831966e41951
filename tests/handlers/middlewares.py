"""Middleware of every style, each hook of which may raise, answer early, or leave a trace."""

import sys

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import MiddlewareNotUsed, PermissionDenied
from django.http import HttpResponse
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin

from tests.handlers.urls import Odd
from tests.library.models import Account

# What the hooks do, by name; a test sets it.
acts = {}
seen = []


def act(hook):
    """Do what the test wants of a hook."""
    handled = sys.exc_info()[1]
    seen.append(hook if handled is None else f"{hook} {type(handled).__name__}")
    match acts.get(hook):
        case "raise":
            raise Odd(f"of {hook}")
        case "forbid":
            raise PermissionDenied(hook)
        case "answer":
            return HttpResponse(f"by {hook}")
        case "query":
            Account.objects.create(owner=hook)
    return None


class Mixin(MiddlewareMixin):
    """Django's style, with all hooks."""

    def process_request(self, request):
        return act("process_request")

    def process_view(self, request, view, args, kwargs):
        return act("process_view")

    def process_exception(self, request, exception):
        return act("process_exception")

    def process_template_response(self, request, response):
        return act("process_template_response") or response

    def process_response(self, request, response):
        return act("process_response") or response


class OuterMixin(Mixin):
    """The same once more, outside, so that there is an order to see."""


class Quiet(MiddlewareMixin):
    """Django's style, and all that it does is to be seen."""

    def process_request(self, request):
        seen.append("quiet request")

    def process_response(self, request, response):
        seen.append(f"quiet response {response.status_code}")
        return response


class AsyncHooks:
    """Async middleware whose hooks are async."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request):
        if (response := act("call")) is not None:
            return response
        response = await self.get_response(request)
        return act("called") or response

    async def process_view(self, request, view, args, kwargs):
        return act("process_view")

    async def process_exception(self, request, exception):
        return act("process_exception")

    async def process_template_response(self, request, response):
        return act("process_template_response") or response


class SyncHooks:
    """Sync middleware of a class that is not Django's, with all hooks."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if (response := act("call")) is not None:
            return response
        response = self.get_response(request)
        return act("called") or response

    def process_view(self, request, view, args, kwargs):
        return act("process_view")

    def process_exception(self, request, exception):
        return act("process_exception")

    def process_template_response(self, request, response):
        return act("process_template_response") or response


def function(get_response):
    def middleware(request):
        if (response := act("call")) is not None:
            return response
        response = get_response(request)
        return act("called") or response

    return middleware


def async_function(get_response):
    async def middleware(request):
        if (response := act("call")) is not None:
            return response
        response = await get_response(request)
        return act("called") or response

    return middleware


async_function.sync_capable = False
async_function.async_capable = True


@sync_and_async_middleware
def either(get_response):
    return (
        async_function(get_response)
        if iscoroutinefunction(get_response)
        else function(get_response)
    )


reexported = function


def unused(get_response):
    raise MiddlewareNotUsed("not here")
