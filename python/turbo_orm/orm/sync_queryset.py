"""Django's sync terminals, which use the query cache as the async ones do.

Sync code that queries runs unchanged: what ``aget()`` would find in the cache, so does ``get()``.
On the bridge (a sync view, a template, a serializer) it awaits the task's connection. In plain
code (a thread, a management command, WSGI) statements are executed by Django's own cursor on its
sync connection. In an event loop without the bridge, where Django refuses to wait, terminals are
Django's own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Model, QuerySet
from django.db.models.query import MAX_GET_RESULTS, prefetch_related_objects

from turbo_orm import bridge, conf
from turbo_orm._core import Join
from turbo_orm.execution import direct, evaluation, fetching
from turbo_orm.execution.arriving_rows import ArrivingObjects
from turbo_orm.orm import fallback
from turbo_orm.orm.cached_queryset import CachedQuerySet
from turbo_orm.orm.combined_queryset import CombinedQuerySet
from turbo_orm.orm.executor import Execute, executor
from turbo_orm.query_cache import cache_key
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cached_chain import CachedChain
from turbo_orm.query_cache.chain import extend
from turbo_orm.query_cache.lookup import lookup, lookup_aggregate, lookup_update, take_back
from turbo_orm.query_cache.outcome import Hit

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
    _Row = TypeVar("_Row", covariant=True, default=_ModelT)
else:
    # Nothing looks at them: Django's classes ignore what is in their brackets.
    _ModelT = _Row = Any


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


# What may query as it hydrates is called where the code runs.
_hydrate: Any = partial(fetching.hydrate, run=_call)


class SyncQuerySet(CombinedQuerySet[_ModelT, _Row]):
    """A queryset whose sync terminals execute cached statements."""

    if TYPE_CHECKING:
        # AsyncQuerySet's.
        async def _prefetch(self, objects: list[Any]) -> None: ...
        async def _prefetch_results(self) -> None: ...

    def _terminal(
        self, name: str, djangos: Callable[[], Any], answer: Callable[[Hit, Any], Any]
    ) -> Any:
        """Call a terminal: by a cached statement, or Django's, which is traced then."""
        chain, execute = self._cached, executor()
        if chain is None or execute is None or name not in self._cacheable_terminals:
            return djangos()
        return self._answer(name, chain, execute, djangos, answer)

    def _answer(
        self,
        name: str,
        chain: CachedChain,
        execute: Execute,
        djangos: Callable[..., Any],
        answer: Callable[[Hit, Any], Any],
    ) -> Any:
        found = lookup(self, name, chain)
        if isinstance(found, Hit):
            rows = execute(found.statement.using, found)
            if rows is not None:
                return answer(found, rows)
            found = take_back(found)
        if found.using is None:
            return djangos()
        queryset = self if chain is self._cached else self._copy(chain)
        return fallback.call_sync(queryset, name, found)

    if not TYPE_CHECKING:
        # Django's stubs know more of these.

        def get(self, *args: Any, **kwargs: Any) -> Any:
            if not (args or kwargs):
                return self._terminal("get", super().get, self._one)
            chain, execute = self._cached, executor()
            if (
                chain is None
                or execute is None
                or chain[0].is_combined
                or self._sticky_filter
                or self._defer_next_filter
                # What overrides it, or has replaced it, is not to be called once more.
                or "get" not in self._cacheable_terminals
            ):
                return super().get(*args, **kwargs)
            extended = (
                None
                if conf.VERIFIES
                else extend(chain, "filter", cache_key.of_lookups, args, kwargs)
            )
            if type(extended) is not CachedChain:
                return SyncQuerySet.get(self.filter(*args, **kwargs))
            djangos = partial(super().get, *args, **kwargs)
            return self._answer("get", extended, execute, djangos, self._one)

        def first(self) -> Any:
            return self._terminal("first", super().first, self._end)

        def last(self) -> Any:
            return self._terminal("last", super().last, self._end)

        def count(self) -> int:
            return self._terminal("count", super().count, self._count)

        def exists(self) -> bool:
            return self._terminal("exists", super().exists, self._exists)

        def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            execute = executor()
            if self._cached is None or execute is None:
                return super().aggregate(*args, **kwargs)
            found = lookup_aggregate(self, args, kwargs)
            if isinstance(found, Hit):
                statement = found.statement
                rows = execute(statement.using, found)
                if rows is not None:
                    return fetching.hydrate_aggregates(statement, *rows, run=_call)
                found = take_back(found)
            if found.using is None:
                return super().aggregate(*args, **kwargs)
            return fallback.aggregate(self, found, args, kwargs)

        def update(self, **kwargs: Any) -> int:
            execute = executor()
            if self._cached is None or execute is None:
                return super().update(**kwargs)
            found = lookup_update(self, kwargs)
            if isinstance(found, Hit):
                using = found.statement.using
                try:
                    rows = execute(using, found)
                except Exception:
                    with transaction.mark_for_rollback_on_error(using=using):
                        raise
                if rows is not None:
                    self._result_cache = None
                    return rows[0].command_tuples
                found = take_back(found)
            if found.using is None:
                return super().update(**kwargs)
            return fallback.update(self, found, kwargs)

        update.alters_data = True

        def __getitem__(self, k: Any) -> Any:
            if (
                type(k) is not int
                or k < 0
                or self._result_cache is not None
                or self._cached is None
                or self._is_sliced
                or executor() is None
            ):
                return super().__getitem__(k)
            # Django limits a copy to that row.
            row = list(super().__getitem__(slice(k, k + 1)))
            return row[0]

    def _fetch_all(self) -> None:
        if self._result_cache is None and self._cached is not None:
            execute = executor()
            if execute is not None:
                self._fetch_cached(execute)
        # What another package has put in Django's class is to see a queryset without results.
        if not cache.has_foreign("_fetch_all"):
            evaluation.fill_cache(self)
            # What the native core cannot make has no results yet: Django fetches and prefetches.
            if (
                self._result_cache is not None
                and self._prefetch_related_lookups
                and not self._prefetch_done
                and bridge.active()
            ):
                bridge.await_(self._prefetch_results())
        super()._fetch_all()

    def _fetch_cached(self, execute: Execute) -> None:
        found = lookup(self, "_fetch_all", self._cached)
        if isinstance(found, Hit):
            statement = found.statement
            arriving = ArrivingObjects.of(self, found)
            rows = execute(statement.using, found, arriving)
            if rows is not None:
                self._result_cache = (
                    _hydrate(self, statement, *rows)
                    if arriving is None
                    else arriving.hydrate(*rows, run=_call)
                )
                self._compiled_for = statement.using
                return
            found = take_back(found)
        if found.using is not None:
            fallback.fetch(self, found)

    # What becomes of the rows of cached statements

    def _one(self, found: Hit, rows: tuple[Any, Any]) -> Any:
        objects = self._prefetched(found, rows)
        if len(objects) != 1:
            raise self._not_one(len(objects))
        return objects[0]

    def _end(self, found: Hit, rows: tuple[Any, Any]) -> Any:
        objects = self._prefetched(found, rows)
        return objects[0] if objects else None

    def _count(self, found: Hit, rows: tuple[Any, Any]) -> int:
        return int(rows[0].get_value(0, 0))

    def _exists(self, found: Hit, rows: tuple[Any, Any]) -> bool:
        return bool(rows[0].ntuples)

    def _prefetched(self, found: Hit, rows: tuple[Any, Any]) -> list[Any]:
        objects: list[Any] = _hydrate(self, found.statement, *rows)
        if lookups := self._prefetch_related_lookups:
            if bridge.active():
                bridge.await_(self._prefetch(objects))
            else:
                prefetch_related_objects(objects, *lookups)
        return objects

    # The results of cached statements

    async def _objects(self, found: Hit, join: Join | None = None) -> list[Any]:
        """Execute a statement and return the objects of its rows."""
        statement = found.statement
        arriving = ArrivingObjects.of(self, found, join)
        rows = await direct.execute(statement.using, found, arriving)
        if arriving is None:
            objects = fetching.hydrate(self, statement, *rows, join)
        else:
            objects = arriving.hydrate(*rows)
        return objects if isinstance(objects, list) else await objects

    async def _aggregates(self, found: Hit) -> dict[str, Any]:
        """Execute the statement of an aggregation and return its row."""
        statement = found.statement
        rows = await direct.execute(statement.using, found)
        aggregates = fetching.hydrate_aggregates(statement, *rows)
        return aggregates if isinstance(aggregates, dict) else await aggregates

    def _not_one(self, found: int) -> Exception:
        """Return what ``get()`` raises if it finds not one object."""
        name = self.model._meta.object_name
        if not found:
            error: Exception = self.model.DoesNotExist(f"{name} matching query does not exist.")
            return error
        number = found if found < MAX_GET_RESULTS else f"more than {MAX_GET_RESULTS - 1}"
        error = self.model.MultipleObjectsReturned(
            f"get() returned more than one {name} -- it returned {number}!"
        )
        return error

    async def _write(self, found: Hit) -> int:
        """Execute a statement that writes, and return how many rows it has written."""
        using = found.statement.using
        try:
            pgresult, _ = await direct.execute(using, found)
        except Exception:
            with transaction.mark_for_rollback_on_error(using=using):
                raise
        self._result_cache = None
        rows: int = pgresult.command_tuples
        return rows


# Tools and shells show what Django says of its methods. Managers copy it.
for _class in (CachedQuerySet, CombinedQuerySet, SyncQuerySet):
    for _name, _method in vars(_class).items():
        if type(_method) is FunctionType and _method.__doc__ is None:
            _method.__doc__ = getattr(getattr(QuerySet, _name, None), "__doc__", None)
