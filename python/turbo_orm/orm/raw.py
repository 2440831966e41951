"""The raw queryset: Django's own, whose ``async for`` awaits and whose rows the core hydrates.

A text that Django has executed before is executed directly, and its rows are hydrated by the plan
of the last time (**raw_statements**).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.db import router
from django.db.models import Model
from django.db.models.query import RawQuerySet

from turbo_orm import bridge
from turbo_orm.backend.handler import process_connection
from turbo_orm.execution import direct, fetching
from turbo_orm.hydration.row_layout import Layout
from turbo_orm.orm.cached_queryset import DEFAULT_FETCH_MODE
from turbo_orm.query_cache import raw_statements
from turbo_orm.query_cache.raw_statements import BoundRawStatement, RawLookup, RawStatement


class AsyncRawQuerySet[ModelT: Model](RawQuerySet):  # type: ignore[type-arg]
    """Instances that a statement of yours selects, on an async connection for ``async for``."""

    # A related manager's querysets have some.
    _known_related_objects: ClassVar[dict[Any, Any]] = {}

    if TYPE_CHECKING:
        # Django's, which the stubs leave out.
        _db: str | None
        _result_cache: list[ModelT] | None
        _prefetch_related_lookups: tuple[Any, ...]
        _prefetch_done: bool
        _fetch_mode: Any
        query: Any

        def _fetch_all(self) -> None: ...

    @classmethod
    def of(cls, raw: Any) -> Self:
        """Return Django's raw queryset as one of this class."""
        raw.__class__ = cls
        instance: Self = raw
        return instance

    def iterator(self) -> Iterator[ModelT]:
        """Execute the statement, and yield an instance for each row."""
        for instances in fetching.raw(self):
            yield from instances

    async def alist(self) -> list[ModelT]:
        """Return all results as a list. They are kept, as those of ``async for`` are."""
        await self._fetch()
        return list(self._result_cache or ())

    async def __aiter__(self) -> AsyncIterator[ModelT]:
        await self._fetch()
        for result in self._result_cache or ():
            yield result

    def using(self, alias: str | None) -> Self:
        """Return the same, for another database."""
        return self.of(super().using(alias))

    async def _fetch(self) -> None:
        """Do what ``_fetch_all()`` does."""
        if self._result_cache is None:
            found = self._lookup()
            statement = raw_statements.statement_of(found) if found else None
            bound = raw_statements.bind(statement, self.query.params) if statement else None
            if bound is not None and statement is not None:
                self._result_cache = await self._objects(statement, bound)
            else:
                await bridge.run(self._fetch_all)
                if found is not None:
                    raw_statements.record(found)
        if self._prefetch_related_lookups and not self._prefetch_done:
            await bridge.run(self._fetch_all)

    def _lookup(self) -> RawLookup | None:
        if (
            type(self) is not AsyncRawQuerySet
            # They are asked more than once, and may name another database each time.
            or router.routers
            or (self._db or self.query.using) != self.query.using
            or getattr(self, "_fetch_mode", None) is not DEFAULT_FETCH_MODE
        ):
            return None
        return raw_statements.lookup(self)

    async def _objects(self, statement: RawStatement, bound: BoundRawStatement) -> list[ModelT]:
        pgresult, context = await direct.execute(statement.using, bound)
        names = [pgresult.fname(index) for index in range(pgresult.nfields)]
        if names != statement.names:
            await bridge.run(self._follow_columns, statement, names, context)
        assert statement.layout is not None
        self.__dict__["columns"] = [name for name, _, _ in statement.layout.selected]
        objects = fetching.hydrate(self, statement, pgresult, context)
        return objects if isinstance(objects, list) else await objects

    def _follow_columns(self, statement: RawStatement, names: list[bytes], context: Any) -> None:
        """Have a statement the layout of a result with these columns. Runs on the bridge.

        Raises what Django raises for columns that no instances can be made of.
        """
        encoding = context.connection.info.encoding
        columns = [name.decode(encoding) for name in names]
        for name, field in self.translations.items():
            if name in columns:
                columns[columns.index(name)] = field
        self.__dict__["columns"] = columns
        statement.cached_plan = None
        statement.layout = Layout.of_raw(self, process_connection(statement.using))
        statement.names = names
