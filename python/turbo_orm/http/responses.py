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
    """Return a response whose content is the JSON array of a queryset's rows, as ``ajson()`` has.

    Up to ``chunk_size`` rows are an ``HttpResponse``, whose length and ``ETag`` middleware can
    compute. More of them are a ``StreamingHttpResponse``: they are received while others are
    sent, so that memory does not grow with them. If an error occurs then, the response is cut off
    and is no JSON. In a transaction they are an ``HttpResponse`` after all: it ends with the view,
    and the cursor with it. ``options`` (``status``, ``headers``, ``content_type``) are Django's.

    Raises what ``ajson()`` raises, before there is a response, for the first of the rows.
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
    """Return a response whose content is the JSON array of a queryset's rows, as ``json()`` has.

    ``options`` (``status``, ``headers``, ``content_type``) are Django's.
    """
    options.setdefault("content_type", CONTENT_TYPE)
    return HttpResponse(queryset.json(nested), **options)
