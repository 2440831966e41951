"""Django's sync terminals on the bridge, where they use the query cache as the async ones do.

Sync code that queries (a sync view, a template, a serializer) runs on the bridge unchanged: what
``aget()`` would find in the cache, so does ``get()``. Anywhere else they are Django's own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Model, QuerySet
from django.db.models.query import MAX_GET_RESULTS

from turbo_orm import bridge
from turbo_orm._core import Join
from turbo_orm.execution import direct, evaluation, fetching
from turbo_orm.orm import fallback
from turbo_orm.orm.cached_queryset import CachedQuerySet
from turbo_orm.orm.combined_queryset import CombinedQuerySet
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.lookup import lookup, lookup_aggregate, lookup_update
from turbo_orm.query_cache.outcome import Hit

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
    _Row = TypeVar("_Row", covariant=True, default=_ModelT)
else:
    # Nothing looks at them: Django's classes ignore what is in their brackets.
    _ModelT = _Row = Any


class BridgedQuerySet(CombinedQuerySet[_ModelT, _Row]):
    """A queryset whose sync terminals execute cached statements where they run on the bridge."""

    if TYPE_CHECKING:
        # AsyncQuerySet's.
        async def _prefetch(self, objects: list[Any]) -> None: ...
        async def _prefetch_results(self) -> None: ...

    def _terminal(
        self, name: str, djangos: Callable[[], Any], answer: Callable[[Hit], Any]
    ) -> Any:
        """Call a terminal: by a cached statement, or Django's, which is traced then."""
        if self._cached is None or name not in self._cacheable_terminals or not bridge.active():
            return djangos()
        found = lookup(self, name, self._cached)
        if isinstance(found, Hit):
            return answer(found)
        if found.using is None:
            return djangos()
        return fallback.call_on_bridge(self, name, found)

    if not TYPE_CHECKING:
        # Django's stubs know more of these.

        def get(self, *args: Any, **kwargs: Any) -> Any:
            if args or kwargs:
                if (
                    self._cached is None
                    or self._sticky_filter
                    or self._is_combined
                    # What overrides it, or has replaced it, is not to be called once more.
                    or "get" not in self._cacheable_terminals
                    or not bridge.active()
                ):
                    return super().get(*args, **kwargs)
                return self.filter(*args, **kwargs).get()
            return self._terminal("get", super().get, self._one)

        def first(self) -> Any:
            return self._terminal("first", super().first, self._end)

        def last(self) -> Any:
            return self._terminal("last", super().last, self._end)

        def count(self) -> int:
            return self._terminal("count", super().count, self._count)

        def exists(self) -> bool:
            return self._terminal("exists", super().exists, self._exists)

        def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            if self._cached is None or not bridge.active():
                return super().aggregate(*args, **kwargs)
            found = lookup_aggregate(self, args, kwargs)
            if isinstance(found, Hit):
                return bridge.await_(self._aggregates(found))
            if found.using is None:
                return super().aggregate(*args, **kwargs)
            return fallback.aggregate(self, found, args, kwargs)

        def update(self, **kwargs: Any) -> int:
            if self._cached is None or not bridge.active():
                return super().update(**kwargs)
            found = lookup_update(self, kwargs)
            if isinstance(found, Hit):
                return bridge.await_(self._write(found))
            if found.using is None:
                return super().update(**kwargs)
            return fallback.update(self, found, kwargs)

        update.alters_data = True

    def _fetch_all(self) -> None:
        if self._result_cache is None and self._cached is not None and bridge.active():
            found = lookup(self, "_fetch_all", self._cached, fetching.SLICE)
            if isinstance(found, Hit):
                self._result_cache = bridge.await_(self._objects(found))
                self._compiled_for = found.statement.using
            elif found.using is not None:
                fallback.fetch(self, found)
        # What another package has put in Django's class is to see a queryset without results.
        if not cache.has_foreign("_fetch_all"):
            evaluation.fill_cache(self)
            if self._prefetch_related_lookups and not self._prefetch_done and bridge.active():
                bridge.await_(self._prefetch_results())
        super()._fetch_all()

    def _one(self, found: Hit) -> Any:
        objects = self._prefetched(found)
        if len(objects) != 1:
            raise self._not_one(len(objects))
        return objects[0]

    def _end(self, found: Hit) -> Any:
        objects = self._prefetched(found)
        return objects[0] if objects else None

    def _count(self, found: Hit) -> int:
        pgresult, _ = bridge.await_(direct.execute(found.statement.using, found))
        return int(pgresult.get_value(0, 0))

    def _exists(self, found: Hit) -> bool:
        pgresult, _ = bridge.await_(direct.execute(found.statement.using, found))
        return bool(pgresult.ntuples)

    def _prefetched(self, found: Hit) -> list[Any]:
        objects = bridge.await_(self._objects(found))
        if self._prefetch_related_lookups:
            bridge.await_(self._prefetch(objects))
        return objects

    # The results of cached statements

    async def _objects(self, found: Hit, join: Join | None = None) -> list[Any]:
        """Execute a statement and return the objects of its rows."""
        statement = found.statement
        rows = await direct.execute(statement.using, found)
        objects = fetching.hydrate(self, statement, *rows, join)
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
for _class in (CachedQuerySet, CombinedQuerySet, BridgedQuerySet):
    for _name, _method in vars(_class).items():
        if type(_method) is FunctionType and _method.__doc__ is None:
            _method.__doc__ = getattr(getattr(QuerySet, _name, None), "__doc__", None)
