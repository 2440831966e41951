"""``ajson_chunks()``: a JSON array in parts, whose rows come from a cursor on the server."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any

from turbo_orm import bridge
from turbo_orm.execution import evaluation, fetching, json_rows
from turbo_orm.execution.json_rows import MadeRows, ReceivedRows
from turbo_orm.hydration.hydrator import Hydrator
from turbo_orm.orm import as_json, iteration, nested_rows
from turbo_orm.orm.as_json import Rows
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.outcome import Hit


class JsonChunks:
    """The JSON of a queryset's rows, ``size`` of them in each part.

    ``found`` is the outcome of looking its statement up, if that was done.
    Raises ``ValueError`` if the size is not positive, and what ``ajson()`` raises.
    """

    def __init__(
        self, queryset: Any, size: int, nested: bool | Mapping[str, Any], found: Any = None
    ) -> None:
        if size <= 0:
            raise ValueError("Chunk size must be strictly positive.")
        json_rows.refuse_instances(queryset, nested)
        self._parts = _parts(queryset, size, nested, found)
        self._has_begun = self._is_last = False

    async def fetch(self) -> bytes:
        """Return the next part, none behind the last. The cursor is closed with that."""
        if self._is_last:
            return b""
        self._has_begun = True
        part, self._is_last = await bridge.run(next, self._parts)
        if self._is_last:
            await bridge.run(next, self._parts, None)
        return bytes(part)

    async def close(self) -> None:
        """Close the cursor, if it is open."""
        if self._has_begun and not self._is_last:
            await bridge.run(self._parts.close)


def _parts(
    queryset: Any, size: int, nested: bool | Mapping[str, Any], found: Any
) -> Generator[tuple[bytes, bool]]:
    """Yield the parts of the array, and whether they are the last."""
    query = nested_rows.read(queryset, nested) if isinstance(nested, Mapping) else None
    if query is not None:
        queryset = query.with_keys()
    before = b"["
    with closing(_rows(queryset, size, found)) as chunks:
        for rows, is_last in chunks:
            if query is not None:
                json = nested_rows.array(query, queryset, rows)
            else:
                json = as_json.array(queryset, rows, bool(nested))
            yield b"".join((before, json[1:-1], b"]" if is_last else b"")), is_last
            if is_last:
                # Whatever is left to the cursor is to close it.
                next(chunks, None)
                return
            before = b", "
    yield (b"[]" if before == b"[" else b"]"), True


def _rows(queryset: Any, size: int, found: Any) -> Generator[tuple[Rows, bool]]:
    """Yield rows in parts of a size, and whether it is known that they are the last."""
    if not json_rows.are_to_be_fetched(queryset):
        yield as_json.fetch(queryset), True
        return
    is_foreign = cache.has_foreign("iterator") or cache.has_foreign("_iterator")
    if not is_foreign:
        found = found or as_json.look_up(queryset)
    if (
        isinstance(found, Hit)
        and not is_foreign
        and Hydrator.reads_pgresults()
        and evaluation.prepare_chunks(queryset, found.statement.using)
    ):
        results = fetching.server_side_results(fetching.CachedCompiler(found), size)
        number = 0
        with closing(results):
            for driver, pgresult in results:
                context = getattr(driver, "_cursor", driver)
                rows = ReceivedRows(found.statement, pgresult, context)
                number += rows.number
                yield rows, rows.number < size
        found.statement.rows = number
        return
    lists, _ = iteration.open_lists(queryset, size, found)
    using = queryset.db
    with closing(lists):
        for objects in lists:
            yield MadeRows(objects, using), len(objects) < size
