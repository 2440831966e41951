"""Ten tasks on an event loop, each with its share of the work."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any


class Tasks:
    """Runs coroutines on a loop of its own, in one context: what they set stays set."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine, and return or raise what it does."""
        return self._runner.run(coroutine)

    def each(
        self, function: Callable[[Any], Coroutine[Any, Any, Any]], shares: Sequence[Any]
    ) -> list[Any]:
        """Call a coroutine function for each share, in a task each, and return what they do."""

        async def gather() -> list[Any]:
            return await asyncio.gather(*map(function, shares))

        return self.run(gather())

    def close(self) -> None:
        """Close the loop."""
        self._runner.close()
