"""A task on an event loop, for as long as a session: a connection belongs to its task."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.conftest import close_connections


class Task:
    """Runs the coroutine functions that it is given, one after the other."""

    def __init__(
        self, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    ) -> None:
        self.loop = new_loop()
        self.asked: asyncio.Queue[Any] = asyncio.Queue()
        self.task = self.loop.create_task(self._serve())

    def run(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine function, and return or raise what it does."""
        answer = self.loop.create_future()
        self.asked.put_nowait((function, answer))
        return self.loop.run_until_complete(answer)

    async def _serve(self) -> None:
        while True:
            function, answer = await self.asked.get()
            try:
                answer.set_result(await function())
            except Exception as exc:
                answer.set_exception(exc)

    def close(self) -> None:
        """Close the task's connections, and the loop."""
        self.run(close_connections)
        self.task.cancel()
        self.loop.run_until_complete(asyncio.wait([self.task]))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
