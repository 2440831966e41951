"""Django's iterables, whose rows the native core makes where Django is patched.

A queryset is evaluated by ``list(queryset._iterable_class(queryset))``: by Django, and by packages
that keep its results (cacheops). Whatever has been put around that, before or after, the rows are
made in here, and what is around sees a queryset without results until they are.

An iterable class that is derived from one of Django's makes its rows itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from itertools import chain
from typing import Any

from django.db import connections
from django.db.models.query import RawModelIterable

from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.execution import evaluation, fetching
from turbo_orm.hydration.row_layout import NATIVE_ITERABLES, hydrates

type Iterate = Callable[[Any], Iterator[Any]]


def on_postgresql(queryset: Any) -> str | None:
    """Return the alias that the routers name, if it is one of PostgreSQL."""
    using: str = queryset.db
    return using if connections[using].vendor == "postgresql" else None


def hydrating(original: Iterate) -> Iterate:
    """Return ``__iter__()`` of an iterable class of Django's, to hydrate by the native core."""
    is_djangos = is_own(original)

    @wraps(original)
    def __iter__(self: Any) -> Iterator[Any]:
        if not is_djangos or type(self) not in NATIVE_ITERABLES or not hydrates(self.queryset):
            return original(self)
        return chain.from_iterable(_parts(self, original))

    return __iter__


def _parts(iterable: Any, original: Iterate) -> Iterator[Iterable[Any]]:
    """Yield the objects in lists, or Django's iterator over them."""
    queryset = iterable.queryset
    using = on_postgresql(queryset)
    if using is None:
        yield original(iterable)
        return
    is_chunked = iterable.chunked_fetch
    # Without a cursor on the server all rows are there: the size is that of what is made at once.
    size = iterable.chunk_size if is_chunked else fetching.SLICE
    compiler = evaluation.compiler_for(queryset, using)
    yield from fetching.stream(queryset, compiler, is_chunked, size)


def hydrating_raw(original: Iterate) -> Iterate:
    """Return ``RawModelIterable.__iter__()``, to hydrate by the native core."""
    is_djangos = is_own(original)

    @wraps(original)
    def __iter__(self: Any) -> Iterator[Any]:
        queryset: Any = self.queryset
        if is_djangos and type(self) is RawModelIterable and on_postgresql(queryset):
            return chain.from_iterable(fetching.raw(queryset))
        return original(self)

    return __iter__
