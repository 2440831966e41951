"""How a queryset gets at its results: an AsyncQuerySet and, where Django is patched, any other.

They are functions, not methods, so that nothing but what Django itself defines is put on a
queryset of Django's.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from itertools import batched
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.query import prefetch_related_objects

from turbo_orm.backend import content_type_cache
from turbo_orm.execution import fetching
from turbo_orm.hydration.row_layout import hydrates
from turbo_orm.query_cache.bound import BoundStatement


def compiler_for(queryset: QuerySet[Any, Any], using: str | None = None) -> Any:
    """Return Django's compiler for a queryset, on the database that the routers name.

    They are asked once: here, or by who names the alias. On the bridge, the compiler's connection
    is the bridged one.
    """
    return queryset.query.get_compiler(using=using or queryset.db)


def fill_cache(queryset: Any, using: str | None = None) -> None:
    """Fetch the results of a queryset that has none yet, if the native core can make them.

    ``using`` is the alias of its database, if the routers have been asked for it already.
    """
    if queryset._result_cache is None and hydrates(queryset):
        compiler = compiler_for(queryset, using)
        queryset._result_cache = fetching.fetch_all(queryset, compiler)
        if queryset._result_cache:
            models = content_type_cache.instance_models(getattr(compiler, "klass_info", None))
            content_type_cache.fill(compiler.using, *models)


def open_chunks(
    queryset: QuerySet[Any, Any], chunk_size: int, prefetches: bool = True
) -> Generator[list[Any]]:
    """Return the results in lists, from a cursor on the server unless the settings forbid it.

    Without ``prefetches``, who asks for them prefetches.
    """
    using = queryset.db
    use_chunked_fetch = prepare_chunks(queryset, using)
    if not prefetches:
        return _results(queryset, use_chunked_fetch, chunk_size, using)
    return chunks(queryset, use_chunked_fetch, chunk_size, using)


def open_cached_chunks(
    queryset: QuerySet[Any, Any], chunk_size: int, bound: BoundStatement
) -> Generator[list[Any]]:
    """Do what ``open_chunks()`` does, without prefetches, by a queryset's cached statement."""
    use_chunked_fetch = prepare_chunks(queryset, bound.statement.using)
    compiler = fetching.CachedCompiler(bound)
    return fetching.stream(queryset, compiler, use_chunked_fetch, chunk_size)


def prepare_chunks(queryset: QuerySet[Any, Any], using: str) -> bool:
    """Return whether a cursor on the server may be used."""
    # While rows arrive, nothing else can be asked of the connection.
    content_type_cache.fill(using, queryset.model)
    return not connections[using].settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")


def chunks(
    queryset: Any, use_chunked_fetch: bool, chunk_size: int | None, using: str | None = None
) -> Generator[list[Any]]:
    """Yield the results in lists, prefetched if a size is given for the lists."""
    with closing(_results(queryset, use_chunked_fetch, chunk_size or 2000, using)) as lists:
        for chunk in lists:
            if queryset._prefetch_related_lookups and chunk_size is not None:
                prefetch_related_objects(chunk, *queryset._prefetch_related_lookups)
            yield chunk


def _results(
    queryset: Any, use_chunked_fetch: bool, size: int, using: str | None
) -> Generator[list[Any]]:
    if hydrates(queryset):
        compiler = compiler_for(queryset, using)
        return fetching.stream(queryset, compiler, use_chunked_fetch, size)
    iterable: Iterable[Any] = queryset._iterable_class(
        queryset, chunked_fetch=use_chunked_fetch, chunk_size=size
    )
    return (list(results) for results in batched(iterable, size))
