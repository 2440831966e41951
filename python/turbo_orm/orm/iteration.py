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


async def open_chunks(queryset: Any, chunk_size: int) -> tuple[Generator[list[Any]], bool]:
    """Return the objects of a queryset in lists, and whether to prefetch for each of these.

    Where Django is patched, it is any queryset.
    """
    if chunk_size <= 0:
        raise ValueError("Chunk size must be strictly positive.")
    if cache.has_foreign("iterator") or cache.has_foreign("_iterator"):
        rows = await bridge.run(queryset.iterator, chunk_size)
        return (list(batch) for batch in batched(rows, chunk_size)), False
    if not isinstance(queryset, SyncQuerySet):
        return await bridge.run(evaluation.open_chunks, queryset, chunk_size), False
    prefetches = bool(queryset._prefetch_related_lookups)
    match lookup(queryset, "_fetch_all", queryset._cached):
        case Hit() as hit:
            chunks = await bridge.run(evaluation.open_cached_chunks, queryset, chunk_size, hit)
        case Miss() as miss:
            chunks = await bridge.run(fallback.open_chunks, queryset, chunk_size, miss)
        case _:
            chunks = await bridge.run(evaluation.open_chunks, queryset, chunk_size, not prefetches)
    return chunks, prefetches
