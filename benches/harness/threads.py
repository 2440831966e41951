"""Threads with a connection each, for a contender that has no event loop."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connections


class Threads:
    """Keeps its threads, and so their connections, from one call to the next."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._executor = ThreadPoolExecutor(size)
        self._all_started = Barrier(size)

    def each(self, function: Callable[[Any], Any], shares: Sequence[Any]) -> list[Any]:
        """Call a function with each share, in a thread each, and return the results.

        Fewer shares than threads are done in the calling thread.
        """
        if len(shares) < self._size:
            return [function(share) for share in shares]
        return list(self._executor.map(lambda share: self._start(function, share), shares))

    def _start(self, function: Callable[[Any], Any], share: Any) -> Any:
        # Without the barrier, a thread that is done early would take a second share.
        self._all_started.wait()
        return function(share)

    def close(self) -> None:
        """Close the threads' connections, and end them."""
        self.each(lambda share: connections.close_all(), range(self._size))
        self._executor.shutdown()
