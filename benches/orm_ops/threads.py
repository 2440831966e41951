"""Ten threads, each with a connection of its own, for the ORM that has no tasks."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connections

from benches.orm_ops.pool import SIZE


class Threads:
    """Keeps its threads, and so their connections, from one call to the next."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(SIZE)
        self._all_are_there = Barrier(SIZE)

    def each(self, function: Callable[[Any], Any], shares: Sequence[Any]) -> list[Any]:
        """Call a function for each share, in a thread each, and return what they do."""
        if len(shares) < SIZE:
            return [function(share) for share in shares]
        return list(self._executor.map(lambda share: self._meet(function, share), shares))

    def _meet(self, function: Callable[[Any], Any], share: Any) -> Any:
        # Without it a thread that is done soon would take another's share.
        self._all_are_there.wait()
        return function(share)

    def close(self) -> None:
        """Close the threads' connections, and end them."""
        self.each(lambda share: connections.close_all(), range(SIZE))
        self._executor.shutdown()
