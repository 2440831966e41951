"""The contender protocol: a library under test, and its connections."""

import asyncio
from collections.abc import Callable


class Contender:
    """A library. The contenders of a suite add the methods that its operations call."""

    #: As the reports name it, from ``benches.names``.
    name: str
    #: Whether its methods return awaitables. If not, they are called without an event loop.
    is_async = True
    #: How many tasks or threads work at a time, with a connection each.
    connections = 1
    #: Makes the event loop on which it runs.
    new_loop: Callable[[], asyncio.AbstractEventLoop] = staticmethod(asyncio.new_event_loop)

    async def open(self) -> None:
        """Connect, unless the first query does."""

    async def close(self) -> None:
        """Close the connections, unless the end of the event loop or of the threads does."""
