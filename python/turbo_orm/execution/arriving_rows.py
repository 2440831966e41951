"""Many rows of a cached statement: something is made of a chunk while the next is on its way.

libpq returns a result in chunks since version 17. Until the last one has arrived the connection
cannot execute another statement, so chunks are read on arrival where that runs no code but the
native core's, and else when all are there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

from psycopg import capabilities

from turbo_orm import bridge
from turbo_orm._core import Join
from turbo_orm.backend.content_type_cache import is_missing
from turbo_orm.backend.handler import process_connection
from turbo_orm.execution import fetching
from turbo_orm.hydration.hydrator import Hydrator
from turbo_orm.query_cache.bound import BoundStatement
from turbo_orm.query_cache.compiled import CompiledStatement


class ArrivingRows(ABC):
    """The rows of a statement, received by the driver's connection in chunks."""

    @classmethod
    def of(cls, queryset: Any, found: BoundStatement, *how: Any) -> Self | None:
        """Return what receives the rows of a queryset's statement, to be read as it says.

        ``None`` where they are not expected to be many, or cannot arrive in chunks.
        """
        statement = found.statement
        if statement.rows <= fetching.SLICE or found.rows <= fetching.SLICE:
            return None
        plan = statement.cached_plan
        is_possible = (
            (plan is None or plan.is_native)
            and capabilities.has_stream_chunked()
            and not is_missing(statement.using, queryset.model)
        )
        return cls(queryset, statement, *how) if is_possible else None

    def __init__(self, queryset: Any, statement: CompiledStatement) -> None:
        self.queryset = queryset
        self.statement = statement
        #: So many rows are a chunk.
        self.size = fetching.CHUNK
        self.clear()

    def clear(self) -> None:
        """Begin anew: the statement is sent once more."""
        #: How many rows have arrived in chunks.
        self.rows = 0
        #: Whether no code but the native core's reads them, once the first chunk is there.
        self.is_native: bool | None = None
        self.kept: list[Any] = []
        self._error: Exception | None = None

    def receive(self, context: Any, pgresult: Any) -> None:
        """Read a chunk, which the driver's connection has received, or keep it."""
        if self._error is not None:
            return
        self.rows += pgresult.ntuples
        try:
            if self.is_native is None:
                self.is_native = self.begin(context, pgresult)
            if self.is_native:
                self.read(pgresult)
            else:
                self.kept.append(pgresult)
        except Exception as exc:
            # It is raised where the rows are asked for.
            self._error = exc

    @abstractmethod
    def begin(self, context: Any, pgresult: Any) -> bool:
        """Choose how rows are read, and return whether only the native core reads them."""

    @abstractmethod
    def read(self, pgresult: Any) -> None:
        """Read the rows of a chunk."""

    def finish(self) -> None:
        """Note how many rows there were, and raise the error that one of them had."""
        self.statement.rows = self.rows
        if self._error is not None:
            with process_connection(self.statement.using).wrap_database_errors:
                raise self._error


class ArrivingObjects(ArrivingRows):
    """The objects that a queryset yields, made of rows that arrive in chunks."""

    def __init__(
        self, queryset: Any, statement: CompiledStatement, join: Join | None = None
    ) -> None:
        self._join = join
        super().__init__(queryset, statement)

    def clear(self) -> None:
        super().clear()
        self._objects: list[Any] = []

    def begin(self, context: Any, pgresult: Any) -> bool:
        self._hydrator: Hydrator = fetching.hydrator_for(
            self.statement, self.queryset, context, pgresult, self._join
        )
        if self._hydrator.promotes is None:
            # All together they are many.
            self._hydrator.promotes = True
        return self._hydrator.is_native

    def read(self, pgresult: Any) -> None:
        self._objects += self._hydrator.result(pgresult, 0, pgresult.ntuples)

    def hydrate(self, pgresult: Any, context: Any, run: Callable[..., Any] = bridge.run) -> Any:
        """Do what ``fetching.hydrate()`` does, with the last result.

        It has all rows where these could not arrive in chunks.
        """
        queryset, statement = self.queryset, self.statement
        if not self.rows:
            return fetching.hydrate(queryset, statement, pgresult, context, self._join, run=run)
        self.finish()
        if self.is_native:
            return self._objects
        return run(fetching.hydrate_slices, statement, self._hydrator, self.kept, queryset.model)
