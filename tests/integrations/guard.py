"""A middleware that keeps an async view from threads, which Django's own handler uses.

A handler hops when a request begins and ends, which is not for a view to change.
"""

from django.utils.decorators import async_only_middleware

from tests.conftest import only_the_event_loop

GUARD = f"{__name__}.guard"


@async_only_middleware
def guard(get_response):
    """Make it an error for what handles a request to leave the thread of the event loop."""

    async def guarded(request):
        with only_the_event_loop():
            return await get_response(request)

    return guarded
