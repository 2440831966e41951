"""The queryset: Django's own, with terminals that await."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import django
from django.core.exceptions import SynchronousOnlyOperation
from django.db import router
from django.db.models import Model
from django.db.models.signals import post_delete, pre_delete

from turbo_orm import bridge
from turbo_orm.backend import compiler
from turbo_orm.execution import direct, evaluation, fetching
from turbo_orm.hydration.instances import HAS_FETCH_MODES
from turbo_orm.orm import bulk_update, save
from turbo_orm.orm.asking import Asking
from turbo_orm.orm.raw import AsyncRawQuerySet
from turbo_orm.query_cache.compiled import Bound

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

_SYNC_HINT = (
    "A queryset was evaluated by sync code while the event loop runs. "
    "Use `await queryset.alist()` or `async for` instead."
)


def _alters_data[F: Callable[..., Any]](method: F) -> F:
    """Have templates not call a method."""
    method.alters_data = True  # type: ignore[attr-defined]
    return method


class AsyncQuerySet(Asking[_ModelT, _Row]):
    """A Django queryset whose ``a*`` methods run on an async connection, without a thread.

    Everything that is not async works as in Django, on Django's sync connection. Arguments,
    results and exceptions of the ``a*`` methods are those of Django's methods of that name;
    in addition, each raises ``ImproperlyConfigured`` for a database without async connection.
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

    async def _fetch(self) -> None:
        """Do what ``_fetch_all()`` does."""
        shape = self._shape
        if self._result_cache is None and shape is not None:
            known = self._known("_fetch_all", shape, self._given)
            if isinstance(known, Bound) and known.rows <= fetching.SLICE:
                self._result_cache = await self._objects(known)
                self._compiled_for = known.statement.using
            elif known is not None:
                await bridge.run(self._fetch_and_learn, known)
        if self._result_cache is None or self._prefetch_related_lookups:
            await bridge.run(self._fetch_all)

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
        if chunk_size <= 0:
            raise ValueError("Chunk size must be strictly positive.")
        chunks = await bridge.run(evaluation.open_chunks, self, chunk_size)
        try:
            while chunk := await bridge.run(next, chunks, None):
                for result in chunk:
                    yield result
        finally:
            await bridge.run(chunks.close)

    async def aget(self, *args: Any, **kwargs: Any) -> _Row:
        """Return the one object that matches, or raise as ``get()`` does."""
        shape, given = self._shape, self._given
        if shape is None or "get" not in self._djangos_terminals:
            return await bridge.run(self.get, *args, **kwargs)
        if args or kwargs:
            led = self._led_by_filter(args, kwargs)
            if led is None:
                return await self.filter(*args, **kwargs).aget()
            shape, given = led
        known = self._known("get", shape, given)
        if known is None:
            return await bridge.run(self.get, *args, **kwargs)
        if not isinstance(known, Bound):
            one: _Row = await self._copy(shape, given)._by_django("get", known)
            return one
        statement = known.statement
        found = fetching.hydrate(self, statement, *await direct.execute(statement.using, known))
        if not isinstance(found, list):
            found = await found
        if self._prefetch_related_lookups:
            await self._prefetch(found)
        if len(found) != 1:
            raise self._not_one(len(found))
        one = found[0]
        return one

    async def afirst(self) -> _Row | None:
        """Return the first object, by primary key if nothing orders the queryset, or ``None``."""
        first: _Row | None = await self._end("first")
        return first

    async def alast(self) -> _Row | None:
        """Return the last object, by primary key if nothing orders the queryset, or ``None``."""
        last: _Row | None = await self._end("last")
        return last

    async def aearliest(self, *fields: Any) -> _Row:
        """Return the earliest object by the fields, or by ``Meta.get_latest_by``."""
        return await bridge.run(self.earliest, *fields)

    async def alatest(self, *fields: Any) -> _Row:
        """Return the latest object by the fields, or by ``Meta.get_latest_by``."""
        return await bridge.run(self.latest, *fields)

    async def ain_bulk(
        self, id_list: Iterable[Any] | None = None, *, field_name: str = "pk"
    ) -> dict[Any, _ModelT]:
        """Return the objects with these keys, by key. Without keys, return all."""
        return await bridge.run(self.in_bulk, id_list, field_name=field_name)

    async def acount(self) -> int:
        """Return the number of rows, by a query unless the results are there already."""
        count: int = await self._result("count", lambda pgresult: int(pgresult.get_value(0, 0)))
        return count

    async def aexists(self) -> bool:
        """Return whether there is any row, by a query unless the results are there already."""
        exists: bool = await self._result("exists", lambda pgresult: pgresult.ntuples > 0)
        return exists

    async def acontains(self, obj: Model) -> bool:
        """Return whether an object is in the queryset."""
        return await bridge.run(self.contains, obj)

    async def aaggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return aggregates over the queryset, by name."""
        return await bridge.run(self.aggregate, *args, **kwargs)

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

    @_alters_data
    async def acreate(self, **kwargs: Any) -> _ModelT:
        """Make an instance, ``save()`` it, and return it."""
        if "create" in self._djangos_terminals:
            saves = save.saves_of(self.model, kwargs)
            if saves is not None:
                instance: _ModelT = self.model(**kwargs)
                self._for_write = True
                using = self._db or router.db_for_write(self.model, **self._hints)
                await save.insert(saves, instance, using)
                if HAS_FETCH_MODES:
                    instance._state.fetch_mode = self._fetch_mode
                return instance
        return await bridge.run(self.create, **kwargs)

    @_alters_data
    async def aget_or_create(
        self, defaults: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> tuple[_ModelT, bool]:
        """Return the object that matches, or a new one, and whether it is new."""
        return await bridge.run(self.get_or_create, defaults, **kwargs)

    @_alters_data
    async def aupdate_or_create(
        self,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[_ModelT, bool]:
        """Return the object that matches, updated, or a new one, and whether it is new."""
        return await bridge.run(self.update_or_create, defaults, create_defaults, **kwargs)

    @_alters_data
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

        ``save()`` is not called and no signal is sent, as in Django.
        """
        return await bridge.run(
            self.bulk_create,
            objs,
            batch_size=batch_size,
            ignore_conflicts=ignore_conflicts,
            update_conflicts=update_conflicts,
            update_fields=update_fields,
            unique_fields=unique_fields,
        )

    @_alters_data
    async def abulk_update(
        self, objs: Iterable[Any], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        """Write these fields of instances, and return the number of rows that matched."""
        return await bridge.run(bulk_update.bulk_update, self, objs, fields, batch_size)

    @_alters_data
    async def aupdate(self, **kwargs: Any) -> int:
        """Update all rows by one statement, and return their number."""
        shape = self._shape
        if shape is None or "update" not in self._djangos_terminals:
            return await bridge.run(self.update, **kwargs)
        self._for_write = True
        known = self._known_update(shape, kwargs)
        if not isinstance(known, Bound):
            return await bridge.run(self._update_and_learn, known, kwargs)
        return await self._write(known)

    @_alters_data
    async def adelete(self) -> tuple[int, dict[str, int]]:
        """Delete all rows, with cascades and signals, and return their number, by model too."""
        shape = self._shape
        if (
            shape is None
            or "delete" not in self._djangos_terminals
            or any(signal.has_listeners(self.model) for signal in (pre_delete, post_delete))
        ):
            return await bridge.run(self.delete)
        deleting = self._copy(shape, self._given)
        deleting._for_write = True
        known = deleting._known("delete", shape, self._given)
        using = known.statement.using if isinstance(known, Bound) else known
        # Where statements are logged, those of its transaction are.
        if not isinstance(known, Bound) or direct.is_logged(known.statement.using):
            deleted: tuple[int, dict[str, int]] = await deleting._by_django("delete", using)
            self._result_cache = None
            return deleted
        rows = await self._write(known)
        return rows, ({self.model._meta.label: rows} if rows else {})

    adelete.queryset_only = True  # type: ignore[attr-defined]

    # How Django's methods get at rows, be it on the bridge or on a sync connection

    def _fetch_all(self) -> None:
        try:
            evaluation.fill_cache(self)
            super()._fetch_all()
        except SynchronousOnlyOperation as exc:
            raise SynchronousOnlyOperation(_SYNC_HINT) from exc

    if django.VERSION >= (6, 0):

        def _prepare_for_bulk_create(self, objs: list[Any]) -> tuple[list[Any], list[Any]]:
            found = compiler.partition(self.model, objs)
            return found or super()._prepare_for_bulk_create(objs)  # type: ignore[misc]

    def _iterator(self, use_chunked_fetch: bool, chunk_size: int | None) -> Iterator[_Row]:
        for chunk in evaluation.chunks(self, use_chunked_fetch, chunk_size):
            yield from chunk
