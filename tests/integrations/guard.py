"""Keeps async views from threads, where the handler that calls them uses some itself.

Django's handler hops when a request begins and ends, and to answer what a view raises.
"""

from functools import wraps

from tests.support.event_loop import only_the_event_loop


def guarded(view):
    """Make it an error for an async view to leave the thread of the event loop."""

    @wraps(view)
    async def guarded_view(*args, **kwargs):
        with only_the_event_loop():
            return await view(*args, **kwargs)

    return guarded_view
