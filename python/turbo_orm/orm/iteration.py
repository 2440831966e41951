"""``aiterator()``: the objects of a queryset in chunks, from a cursor on the server."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from itertools import batched
from typing import Any

from turbo_orm import bridge
from turbo_orm.execution import evaluation
from turbo_orm.orm import fallback
from turbo_orm.orm.sync_queryset import SyncQuerySet
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.lookup import lookup
from turbo_orm.query_cache.outcome import Hit, Miss


async def iterate(queryset: Any, chunk_size: int) -> AsyncGenerator[Any]:
    """Yield the objects of a queryset: where Django is patched, of any."""
    if chunk_size <= 0:
        raise ValueError("Chunk size must be strictly positive.")
    if cache.has_foreign("iterator") or cache.has_foreign("_iterator"):
        rows = await bridge.run(queryset.iterator, chunk_size)
        chunks: Any = (list(batch) for batch in batched(rows, chunk_size))
        prefetches = False
    else:
        is_ours = isinstance(queryset, SyncQuerySet)
        prefetches = is_ours and bool(queryset._prefetch_related_lookups)
        found = lookup(queryset, "_fetch_all", queryset._cached) if is_ours else None
        if isinstance(found, Hit):
            chunks = await bridge.run(evaluation.open_cached_chunks, queryset, chunk_size, found)
        elif isinstance(found, Miss):
            chunks = await bridge.run(fallback.open_chunks, queryset, chunk_size, found)
        else:
            chunks = await bridge.run(evaluation.open_chunks, queryset, chunk_size, not prefetches)
    try:
        while chunk := await bridge.run(next, chunks, None):
            if prefetches:
                await queryset._prefetch(chunk)
            for result in chunk:
                yield result
    finally:
        await bridge.run(chunks.close)
