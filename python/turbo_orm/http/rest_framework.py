"""Rows as JSON in views of Django REST framework.

A list of ``values()`` needs no serializer: ``JSONListMixin`` has the rows of a page written by
``json()``, and ``JSONRenderer`` puts them in the pagination's envelope.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework import generics, renderers
from rest_framework.response import Response

from turbo_orm.http.written import Places, WrittenJSON
from turbo_orm.orm.json_queryset import Nested


class JSONRenderer(renderers.JSONRenderer):
    """The framework's renderer, but that ``WrittenJSON`` in data is JSON already.

    It is as ``ajson()`` writes it: moments by the millisecond, all letters in ASCII.
    """

    encoder_class: Any = renderers.JSONRenderer.encoder_class

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> Any:
        places = Places()
        encoder_class = self.encoder_class
        self.encoder_class = partial(places.encoder, encoder_class)
        try:
            rendered = super().render(data, accepted_media_type, renderer_context)
        finally:
            self.encoder_class = encoder_class
        return places.fill(rendered)


class JSONListMixin:
    """A view that lists the rows of a queryset of ``values()``, a page of them as ever.

    Use it with ``JSONRenderer``, instead of ``ListModelMixin``. ``nested`` is what ``json()``
    gets. Raises ``ImproperlyConfigured`` for ``CursorPagination``, which has to look into rows.
    """

    nested: Nested = False

    def list(self: Any, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Return the response to a request for the list."""
        rows = _Rows(self.filter_queryset(self.get_queryset()), self.nested)
        page = self.paginate_queryset(rows)
        if page is None:
            return Response(rows.written())
        return self.get_paginated_response(page[0] if page else WrittenJSON(b"[]"))


class JSONListAPIView(JSONListMixin, generics.ListAPIView):
    """The framework's ``ListAPIView``, of a queryset of ``values()``."""

    renderer_classes = (JSONRenderer, renderers.BrowsableAPIRenderer)


class _Rows:
    """What a paginator takes for a queryset. A page of it has one item: the rows' JSON."""

    def __init__(self, queryset: Any, nested: Nested) -> None:
        self._queryset = queryset
        self._nested = nested

    def written(self) -> WrittenJSON:
        """Return all rows."""
        return WrittenJSON(self._queryset.json(self._nested))

    def count(self) -> int:
        """Return how many rows there are."""
        number: int = self._queryset.count()
        return number

    @property
    def ordered(self) -> bool:
        """Whether the rows have an order, without which paginators warn."""
        is_ordered: bool = self._queryset.ordered
        return is_ordered

    def __getitem__(self, rows: slice) -> _Rows:
        return _Rows(self._queryset[rows], self._nested)

    def __iter__(self) -> Iterator[WrittenJSON]:
        yield self.written()

    def order_by(self, *names: str) -> Any:
        raise ImproperlyConfigured(
            "CursorPagination reads the position of the next page from rows, which JSONListMixin "
            "does not make: use PageNumberPagination, LimitOffsetPagination, or a serializer."
        )
