"""``aiterator()``: the objects of a queryset in chunks, from a cursor on the server."""

from __future__ import annotations

from collections.abc import Generator
from itertools import batched
from typing import Any

from turbo_orm import bridge
from turbo_orm.execution import evaluation
from turbo_orm.orm import fallback
from turbo_orm.orm.sync_queryset import SyncQuerySet
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.lookup import lookup
from turbo_orm.query_cache.outcome import Hit, Miss


class Chunks:
    """The objects of a queryset, in lists of a size. Where Django is patched, it is any queryset.

    Raises ``ValueError`` if the size is not positive.
    """

    def __init__(self, queryset: Any, size: int) -> None:
        if size <= 0:
            raise ValueError("Chunk size must be strictly positive.")
        self._queryset = queryset
        self._size = size
        self._lists: Generator[list[Any]] | None = None
        self._prefetches = False
        self._is_last = False

    async def fetch(self) -> list[Any]:
        """Return the next objects, none at the end. The cursor is closed behind the last row."""
        if self._is_last:
            return []
        objects: list[Any] = await bridge.run(self._next)
        if objects and self._prefetches:
            await self._queryset._prefetch(objects)
        return objects

    async def close(self) -> None:
        """Close the cursor, if it is open."""
        if self._lists is not None and not self._is_last:
            await bridge.run(self._lists.close)

    def _next(self) -> list[Any]:
        if self._lists is None:
            self._lists, self._prefetches = open_lists(self._queryset, self._size)
        objects: list[Any] = next(self._lists, [])
        self._is_last = len(objects) < self._size
        if self._is_last and objects:
            # All that is left to it is to close the cursor.
            next(self._lists, None)
        return objects


def open_lists(
    queryset: Any, chunk_size: int, found: Any = None
) -> tuple[Generator[list[Any]], bool]:
    """Return the objects in lists, and whether they are to be prefetched for.

    ``found`` is the outcome of looking the statement up, if that was done.
    """
    if cache.has_foreign("iterator") or cache.has_foreign("_iterator"):
        rows = queryset.iterator(chunk_size)
        return (list(batch) for batch in batched(rows, chunk_size)), False
    if not isinstance(queryset, SyncQuerySet):
        return evaluation.open_chunks(queryset, chunk_size), False
    prefetches = bool(queryset._prefetch_related_lookups)
    match found or lookup(queryset, "_fetch_all", queryset._cached):
        case Hit() as hit:
            return evaluation.open_cached_chunks(queryset, chunk_size, hit), prefetches
        case Miss() as miss:
            return fallback.open_chunks(queryset, chunk_size, miss), prefetches
    return evaluation.open_chunks(queryset, chunk_size, not prefetches), prefetches
