"""The raw queryset: Django's own, whose ``async for`` awaits and whose rows the core hydrates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Self

from django.db.models import Model
from django.db.models.query import RawQuerySet

from turbo_orm import bridge
from turbo_orm.execution import fetching


class AsyncRawQuerySet[ModelT: Model](RawQuerySet):  # type: ignore[type-arg]
    """Instances that a statement of yours selects, on an async connection for ``async for``."""

    if TYPE_CHECKING:
        # Django's, which the stubs leave out.
        _result_cache: list[ModelT] | None

        def _fetch_all(self) -> None: ...

    @classmethod
    def of(cls, raw: Any) -> Self:
        """Return Django's raw queryset as one of this class."""
        raw.__class__ = cls
        instance: Self = raw
        return instance

    def iterator(self) -> Iterator[ModelT]:
        """Execute the statement, and yield an instance for each row."""
        for instances in fetching.raw(self):
            yield from instances

    async def alist(self) -> list[ModelT]:
        """Return all results as a list. They are kept, as those of ``async for`` are."""
        await bridge.run(self._fetch_all)
        return list(self._result_cache or ())

    def __aiter__(self) -> AsyncIterator[ModelT]:
        async def results() -> AsyncIterator[ModelT]:
            await bridge.run(self._fetch_all)
            for result in self._result_cache or ():
                yield result

        return results()

    def using(self, alias: str | None) -> Self:
        """Return the same, for another database."""
        return self.of(super().using(alias))
