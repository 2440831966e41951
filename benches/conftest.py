"""The atlas in a real PostgreSQL, and an event loop, for the benchmarks."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from tests.conftest import close_connections, pytest_configure, pytest_unconfigure, tables

__all__ = ["pytest_configure", "pytest_unconfigure", "tables"]


class Task:
    """A task on an event loop that runs what it is given: a connection belongs to its task."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.asked: asyncio.Queue = asyncio.Queue()
        self.task = self.loop.create_task(self._serve())

    def run(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
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
        self.run(close_connections)
        self.task.cancel()
        self.loop.run_until_complete(asyncio.wait([self.task]))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@pytest.fixture(scope="session")
def task() -> Iterator[Task]:
    task = Task()
    yield task
    task.close()


@pytest.fixture(scope="session")
def atlas(tables: None) -> None:
    """Load all cities."""
    from atlas.dataset import Dataset
    from atlas.models import City, Continent, Country

    dataset = Dataset()
    for model, instances in (
        (Continent, dataset.continents),
        (Country, dataset.countries),
        (City, dataset.cities),
    ):
        model.objects.bulk_create(instances, batch_size=5000)
