"""A task that lives as long as its event loop: a connection belongs to the task that opened it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tests.support.event_loop import close_connections


class Task:
    """Runs coroutine functions one after the other, in one task on an event loop of its own."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._runner = asyncio.Runner(loop_factory=new_loop)
        self._loop = self._runner.get_loop()
        self._calls: asyncio.Queue[Any] = asyncio.Queue()
        self._task = self._loop.create_task(self._serve())

    def run(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine function, and return its result or raise its exception."""
        result = self._loop.create_future()
        self._calls.put_nowait((function, result))
        return self._loop.run_until_complete(result)

    def each(
        self, function: Callable[[Any], Coroutine[Any, Any, Any]], shares: Sequence[Any]
    ) -> list[Any]:
        """Call a coroutine function with each share, in a child task each, and gather results."""

        async def gather() -> list[Any]:
            return await asyncio.gather(*map(function, shares))

        return self.run(gather)

    async def _serve(self) -> None:
        while True:
            function, result = await self._calls.get()
            try:
                result.set_result(await function())
            except Exception as exc:
                result.set_exception(exc)

    def close(self) -> None:
        """Close the task's connections, and the loop."""
        self.run(close_connections)
        self._runner.close()
