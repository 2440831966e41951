"""``ajson_response()`` and ``json_response()``: what Django's ``JsonResponse`` is to dicts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from turbo_orm.backend.task_connections import has_open_transaction
from turbo_orm.orm import as_json
from turbo_orm.orm.json_chunks import JsonChunks
from turbo_orm.orm.json_queryset import Nested
from turbo_orm.query_cache.outcome import Hit

CONTENT_TYPE = "application/json"


async def ajson_response(
    queryset: Any, *, nested: Nested = False, chunk_size: int = 2000, **options: Any
) -> HttpResponseBase:
    """Return a response with a queryset's rows as a JSON array, as ``ajson()`` writes it.

    Up to ``chunk_size`` rows are returned as an ``HttpResponse``, for which middleware can compute
    the length and an ``ETag``. More rows are returned as a ``StreamingHttpResponse``: they are
    fetched while others are sent, so memory use doesn't grow with their number. If an error occurs
    then, the response is cut off and isn't valid JSON. In a transaction, the response is always an
    ``HttpResponse``, because the transaction and its cursor end with the view. ``options``
    (``status``, ``headers``, ``content_type``) are Django's.

    Raises the exceptions of ``ajson()`` for the first rows, before there is a response.
    """
    options.setdefault("content_type", CONTENT_TYPE)
    found, is_in_transaction = None, has_open_transaction()
    if not isinstance(nested, Mapping):
        found = as_json.look_up(queryset)
        is_whole = is_in_transaction or queryset._result_cache is not None
        if is_whole or (isinstance(found, Hit) and found.rows <= chunk_size):
            return HttpResponse(await as_json.ajson(queryset, nested, found), **options)
    elif is_in_transaction:
        return HttpResponse(await queryset.ajson(nested), **options)
    chunks = JsonChunks(queryset, chunk_size, nested, found)
    try:
        first = await chunks.fetch()
        second = await chunks.fetch()
    except BaseException:
        await chunks.close()
        raise
    if not second:
        return HttpResponse(first, **options)
    return StreamingHttpResponse(_content(first, second, chunks), **options)


async def _content(first: bytes, second: bytes, chunks: JsonChunks) -> AsyncIterator[bytes]:
    try:
        yield first
        part = second
        while part:
            yield part
            part = await chunks.fetch()
    finally:
        await chunks.close()


def json_response(queryset: Any, *, nested: Nested = False, **options: Any) -> HttpResponse:
    """Return a response with a queryset's rows as a JSON array, as ``json()`` writes it.

    ``options`` (``status``, ``headers``, ``content_type``) are Django's.
    """
    options.setdefault("content_type", CONTENT_TYPE)
    return HttpResponse(queryset.json(nested), **options)
