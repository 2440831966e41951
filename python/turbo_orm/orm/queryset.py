"""The queryset: Django's own, with terminals that await."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import django
from django.db import router
from django.db.models import Model
from django.db.models.query import ModelIterable

from turbo_orm import bridge, conf
from turbo_orm._core import Join
from turbo_orm.backend import primary_keys
from turbo_orm.execution import direct, evaluation, fetching
from turbo_orm.hydration.instances import HAS_FETCH_MODES
from turbo_orm.orm import (
    bulk_create,
    bulk_update,
    delete,
    ends,
    fallback,
    get_or_create,
    in_bulk,
    iteration,
    membership,
    prefetch,
    save,
)
from turbo_orm.orm.json_queryset import JsonQuerySet
from turbo_orm.orm.raw import AsyncRawQuerySet
from turbo_orm.query_cache import cache_key
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cached_chain import CachedChain
from turbo_orm.query_cache.chain import extend
from turbo_orm.query_cache.lookup import lookup, lookup_aggregate, lookup_update
from turbo_orm.query_cache.outcome import Bypass, Hit, Miss
from turbo_orm.query_cache.save_statements import save_statements

if TYPE_CHECKING:
    import datetime
    from typing import Literal

    from django.db.models.expressions import Combinable
    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
    _Row = TypeVar("_Row", covariant=True, default=_ModelT)
else:
    # Nothing looks at them: Django's classes ignore what is in their brackets.
    _ModelT = _Row = Any


def alters_data[F: Callable[..., Any]](method: F) -> F:
    """Have templates not call a method."""
    method.alters_data = True  # type: ignore[attr-defined]
    return method


class AsyncQuerySet(JsonQuerySet[_ModelT, _Row]):
    """A Django queryset whose ``a*`` methods run on an async connection, without a thread.

    Sync methods work as in Django, on Django's sync connection. The ``a*`` methods have the same
    arguments, results and exceptions as Django's methods; in addition, each raises
    ``ImproperlyConfigured`` for a database without an async connection.
    """

    if TYPE_CHECKING:
        # What changes the rows stays an AsyncQuerySet: the stubs name Django's here.
        def values(
            self, *fields: str | Combinable, **expressions: Any
        ) -> AsyncQuerySet[_ModelT, dict[str, Any]]: ...
        def values_list(
            self, *fields: str | Combinable, flat: bool = False, named: bool = False
        ) -> AsyncQuerySet[_ModelT, Any]: ...
        def dates(
            self,
            field_name: str,
            kind: Literal["year", "month", "week", "day"],
            order: Literal["ASC", "DESC"] = "ASC",
        ) -> AsyncQuerySet[_ModelT, datetime.date]: ...
        def datetimes(
            self,
            field_name: str,
            kind: Literal["year", "month", "week", "day", "hour", "minute", "second"],
            order: Literal["ASC", "DESC"] = "ASC",
            tzinfo: datetime.tzinfo | None = None,
        ) -> AsyncQuerySet[_ModelT, datetime.datetime]: ...

    # Reading

    async def alist(self) -> list[_Row]:
        """Return all results as a list. They are kept, as those of ``async for`` are."""
        await self._fetch()
        return list(self._result_cache or ())

    async def _fetch(self, join: Join | None = None) -> None:
        """Do what ``_fetch_all()`` does.

        The native core joins the objects if it makes them of a cached statement's rows.
        """
        if self._result_cache is None:
            found = lookup(self, "_fetch_all", self._cached)
            if isinstance(found, Hit):
                self._result_cache = await self._objects(found, join)
                self._compiled_for = found.statement.using
            elif found.using is not None:
                await bridge.run(fallback.fetch, self, found)
        if self._result_cache is None:
            await bridge.run(self._fetch_all)
        elif self._prefetch_related_lookups and not self._prefetch_done:
            await self._prefetch_results()

    def __aiter__(self) -> AsyncIterator[_Row]:
        async def fetched() -> AsyncIterator[_Row]:
            await self._fetch()
            for result in self._result_cache or ():
                yield result

        return fetched()

    async def aiterator(self, chunk_size: int = 2000) -> AsyncIterator[_Row]:
        """Yield the results without keeping them, ``chunk_size`` fetched at a time.

        The rows stay in a cursor on the server, unless ``DISABLE_SERVER_SIDE_CURSORS`` is set.
        Prefetches are done chunk by chunk. Close the iterator (``contextlib.aclosing``) if you
        leave it early inside a transaction: the cursor stays open as long as it does.
        """
        chunks = iteration.Chunks(self, chunk_size)
        try:
            while chunk := await chunks.fetch():
                for result in chunk:
                    yield result
        finally:
            await chunks.close()

    async def aget(self, *args: Any, **kwargs: Any) -> _Row:
        """Return the one object that matches, or raise as ``get()`` does."""
        chain = self._cached
        if (args or kwargs) and chain is not None and chain[0].is_combined:
            return await bridge.run(self.get, *args, **kwargs)
        if (args or kwargs) and chain is not None and "get" in self._cacheable_terminals:
            extended = (
                None
                if self._sticky_filter or self._defer_next_filter or conf.VERIFIES
                else extend(chain, "filter", cache_key.of_lookups, args, kwargs)
            )
            if type(extended) is not CachedChain:
                # What overrides aget() is not to be called once more.
                return await AsyncQuerySet.aget(self.filter(*args, **kwargs))
            chain = extended
        found = lookup(self, "get", chain)
        if not isinstance(found, Hit):
            if chain is None or found.using is None:
                return await bridge.run(self.get, *args, **kwargs)
            one: _Row = await fallback.call(self._copy(chain), "get", found)
            return one
        statement = found.statement
        objects = fetching.hydrate(self, statement, *await direct.execute(statement.using, found))
        if not isinstance(objects, list):
            objects = await objects
        if self._prefetch_related_lookups:
            await self._prefetch(objects)
        if len(objects) != 1:
            raise self._not_one(len(objects))
        one = objects[0]
        return one

    async def afirst(self) -> _Row | None:
        """Return the first object, by primary key if nothing orders the queryset, or ``None``."""
        return await self._aend("first")

    async def alast(self) -> _Row | None:
        """Return the last object, by primary key if nothing orders the queryset, or ``None``."""
        return await self._aend("last")

    async def _aend(self, terminal: str) -> _Row | None:
        found = lookup(self, terminal, self._cached)
        if not isinstance(found, Hit):
            end: _Row | None = await fallback.call(self, terminal, found)
            return end
        objects = await self._objects(found)
        if self._prefetch_related_lookups:
            await self._prefetch(objects)
        return objects[0] if objects else None

    async def aearliest(self, *fields: Any) -> _Row:
        """Return the earliest object by the fields, or by ``Meta.get_latest_by``."""
        earliest: _Row = await ends.end_by(self, "earliest", fields)
        return earliest

    async def alatest(self, *fields: Any) -> _Row:
        """Return the latest object by the fields, or by ``Meta.get_latest_by``."""
        latest: _Row = await ends.end_by(self, "latest", fields)
        return latest

    async def ain_bulk(
        self, id_list: Iterable[Any] | None = None, *, field_name: str = "pk"
    ) -> dict[Any, _ModelT]:
        """Return the objects with these keys, by key. Without keys, return all."""
        queryset = in_bulk.filtered(self, id_list, field_name)
        if queryset is not None:
            objects = await queryset.alist()
            if field_name == "pk":
                return {each.pk: each for each in objects}
            return await bridge.run(in_bulk.by_key, objects, field_name)
        return await bridge.run(self.in_bulk, id_list, field_name=field_name)

    async def acount(self) -> int:
        """Return the number of rows, by a query unless the results are there already."""
        found = lookup(self, "count", self._cached)
        if not isinstance(found, Hit):
            count: int = await fallback.call(self, "count", found)
            return count
        pgresult, _ = await direct.execute(found.statement.using, found)
        return int(pgresult.get_value(0, 0))

    async def aexists(self) -> bool:
        """Return whether there is any row, by a query unless the results are there already."""
        found = lookup(self, "exists", self._cached)
        if not isinstance(found, Hit):
            exists: bool = await fallback.call(self, "exists", found)
            return exists
        pgresult, _ = await direct.execute(found.statement.using, found)
        return bool(pgresult.ntuples)

    async def acontains(self, obj: Model) -> bool:
        """Return whether an object is in the queryset."""
        queryset = membership.filtered(self, obj)
        return (
            await bridge.run(self.contains, obj) if queryset is None else await queryset.aexists()
        )

    async def aaggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return aggregates over the queryset, by name."""
        found = lookup_aggregate(self, args, kwargs)
        if not isinstance(found, Hit):
            return await bridge.run(fallback.aggregate, self, found, args, kwargs)
        return await self._aggregates(found)

    async def aexplain(self, *, format: str | None = None, **options: Any) -> str:
        """Return the server's plan for the query."""
        return await bridge.run(self.explain, format=format, **options)

    def raw(
        self,
        raw_query: Any,
        params: Any = (),
        translations: dict[str, str] | None = None,
        using: str | None = None,
    ) -> AsyncRawQuerySet[_ModelT]:
        """Return the instances that a statement of yours selects, for ``async for`` or ``for``."""
        return AsyncRawQuerySet.of(super().raw(raw_query, params, translations, using))

    # Writing

    @alters_data
    async def acreate(self, **kwargs: Any) -> _ModelT:
        """Make an instance, ``save()`` it, and return it."""
        if "create" in self._cacheable_terminals:
            statements = save_statements(self.model, kwargs)
            if statements is not None:
                instance: _ModelT = (
                    await bridge.run(self.model, **kwargs)
                    if statements.calls_code or statements.signals.init
                    else self.model(**kwargs)
                )
                self._for_write = True
                using = self._db or router.db_for_write(self.model, **self._hints)
                await save.insert(statements, instance, using)
                if HAS_FETCH_MODES:
                    instance._state.fetch_mode = self._fetch_mode
                return instance
        created: _ModelT = await bridge.run(fallback.create, self, kwargs)
        return created

    @alters_data
    async def aget_or_create(
        self, defaults: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> tuple[_ModelT, bool]:
        """Return the object that matches, or a new one, and whether it is new."""
        if get_or_create.is_composed(self):
            return await get_or_create.get_or_create(self, defaults, kwargs)
        return await bridge.run(self.get_or_create, defaults=defaults, **kwargs)

    @alters_data
    async def aupdate_or_create(
        self,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[_ModelT, bool]:
        """Return the object that matches, updated, or a new one, and whether it is new."""
        if get_or_create.is_composed(self):
            return await get_or_create.update_or_create(self, defaults, create_defaults, kwargs)
        return await bridge.run(
            self.update_or_create, defaults=defaults, create_defaults=create_defaults, **kwargs
        )

    @alters_data
    async def abulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[_ModelT]:
        """Insert instances by as few statements as possible, and return them with their keys.

        ``save()`` is not called and no signal is sent, as in Django. Several batches are sent
        together.
        """
        return await bridge.run(
            bulk_create.bulk_create,
            self,
            objs,
            batch_size=batch_size,
            ignore_conflicts=ignore_conflicts,
            update_conflicts=update_conflicts,
            update_fields=update_fields,
            unique_fields=unique_fields,
        )

    @alters_data
    async def abulk_update(
        self, objs: Iterable[Any], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        """Write these fields of instances, and return the number of rows that matched.

        Several batches are sent together.
        """
        return await bridge.run(bulk_update.bulk_update, self, objs, fields, batch_size)

    @alters_data
    async def aupdate(self, **kwargs: Any) -> int:
        """Update all rows by one statement, and return their number."""
        found = lookup_update(self, kwargs)
        if not isinstance(found, Hit):
            return await bridge.run(fallback.update, self, found, kwargs)
        return await self._write(found)

    @alters_data
    async def adelete(self) -> tuple[int, dict[str, int]]:
        """Delete all rows, with cascades and signals, and return their number, by model too."""
        found = lookup(self, "delete", self._cached)
        # Where statements are logged, those of its transaction are.
        if not isinstance(found, Hit) or direct.is_logged(found.statement.using):
            deleted: tuple[int, dict[str, int]]
            if isinstance(found, Hit):
                found = Bypass("its statements are logged", found.statement.using)
            elif delete.fetches_first(self):
                if isinstance(found, Miss):
                    delete.refuse(self, found)
                deleted = await delete.delete_queryset(self)
                self._result_cache = None
                return deleted
            deleted = await fallback.call(self, "delete", found)
            self._result_cache = None
            return deleted
        rows = await self._write(found)
        return rows, ({self.model._meta.label: rows} if rows else {})

    adelete.queryset_only = True  # type: ignore[attr-defined]

    async def _prefetch(self, objects: list[Any]) -> None:
        """Fetch what is to be prefetched for the objects."""
        await prefetch.prefetch(objects, self._prefetch_related_lookups, AsyncQuerySet)

    async def _prefetch_results(self) -> None:
        """Do what ``_prefetch_related_objects()`` does."""
        if self._overridden or self._iterable_class is not ModelIterable:
            await bridge.run(self._prefetch_related_objects)
        else:
            await self._prefetch(self._result_cache or [])
            self._prefetch_done = True

    # How Django's methods get at rows, be it on the bridge or on a sync connection

    if django.VERSION >= (6, 0):

        def _prepare_for_bulk_create(self, objs: list[Any]) -> tuple[list[Any], list[Any]]:
            found = primary_keys.partition(self.model, objs)
            return found or super()._prepare_for_bulk_create(objs)  # type: ignore[misc]

    def _iterator(self, use_chunked_fetch: bool, chunk_size: int | None) -> Iterator[_Row]:
        if cache.has_foreign("_iterator"):
            yield from super()._iterator(use_chunked_fetch, chunk_size)  # type: ignore[misc]
            return
        for chunk in evaluation.chunks(self, use_chunked_fetch, chunk_size):
            yield from chunk
