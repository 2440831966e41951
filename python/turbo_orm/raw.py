"""The raw queryset: Django's own, whose ``async for`` awaits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Generic, Self, TypeVar

from django.db.models import Model
from django.db.models.query import RawQuerySet

from turbo_orm import bridge

_ModelT = TypeVar("_ModelT", bound=Model, covariant=True)


class AsyncRawQuerySet(RawQuerySet, Generic[_ModelT]):  # type: ignore[type-arg]
    """Instances that a statement of yours selects, on an async connection for ``async for``."""

    @classmethod
    def of(cls, raw: Any) -> Self:
        """Return Django's raw queryset as one of this class."""
        raw.__class__ = cls
        instance: Self = raw
        return instance

    async def alist(self) -> list[_ModelT]:
        """Return all results as a list. They are kept, as those of ``async for`` are."""
        await bridge.run(self._fetch_all)
        return list(self._result_cache)

    def __aiter__(self) -> AsyncIterator[_ModelT]:
        async def results() -> AsyncIterator[_ModelT]:
            await bridge.run(self._fetch_all)
            for result in self._result_cache:
                yield result

        return results()

    def using(self, alias: str | None) -> Self:
        """Return the same, for another database."""
        return self.of(super().using(alias))
