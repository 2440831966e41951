"""Rows as JSON in operations of django-ninja.

An operation without a response schema returns what ``ajson()`` has written, by itself or as a
``WrittenJSON`` in other data, and the API has the renderer: ``NinjaAPI(renderer=JSONRenderer())``.
With any renderer, an operation may return ``await ajson_response(queryset)``.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from django.http import HttpRequest
from ninja import renderers

from turbo_orm.http.written import Places


class JSONRenderer(renderers.JSONRenderer):
    """django-ninja's renderer, but that bytes, and ``WrittenJSON`` in data, are JSON already."""

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> Any:
        if isinstance(data, bytes):
            return data
        places = Places()
        make: Any = partial(places.encoder, self.encoder_class)
        return places.fill(json.dumps(data, cls=make, **self.json_dumps_params).encode())
