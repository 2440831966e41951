"""A connection that executes nothing and records the statements that it is given.

Django's own methods run over it on the bridge, so that it is recorded what they would execute:
``bridge.Bridge.stand_ins`` has ``django.db.connections`` answer with it. No statement reaches a
server, and no state of a real connection is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, Self

from turbo_orm.backend.base import BridgedDatabaseWrapper
from turbo_orm.backend.handler import process_connection
from turbo_orm.hydration.row_layout import Layout

# Django's names of the compilers that select.
_SELECTING = {"SQLAggregateCompiler", "SQLCompiler"}


class AskedOnce(Exception):
    """A second statement follows on the first one, whose result was made up."""


class RecordingConnection(BridgedDatabaseWrapper):
    """Django's wrapper of an alias, which is in a transaction, as far as Django can tell."""

    #: What was executed, as SQL and parameters.
    recorded: list[tuple[str, Any]]
    #: The layout of the rows of a queryset, if one was evaluated.
    layout: Layout | None
    #: The expressions that were selected, if one was.
    selected: list[Any]
    #: The compiler that has selected something, if one has.
    selecting: Any
    #: Whether a second statement is an error.
    once: bool

    @classmethod
    def for_alias(cls, alias: str, *, once: bool = False) -> Self:
        """Return one with the features and operations of the process's connection.

        With ``once`` it raises ``AskedOnce`` at the second statement.
        """
        wrapper = object.__new__(cls)
        state = SimpleNamespace(
            alias=alias,
            autocommit=True,
            atomic_blocks=[],
            closed_in_transaction=False,
            commit_on_exit=True,
            connection=None,
            errors_occurred=False,
            execute_wrappers=[],
            in_atomic_block=True,
            needs_rollback=False,
            rollback_exc=None,
            run_on_commit=[],
            savepoint_ids=[],
        )
        wrapper.__dict__.update(process_connection(alias).__dict__, _fixed=state)
        wrapper.recorded = []
        wrapper.layout = None
        wrapper.selected = []
        wrapper.selecting = None
        wrapper.once = once
        # Its own, so that the compiler that selects something is noted.
        ops: Any = copy(wrapper.ops)
        ops.compiler = partial(_noting_compiler, wrapper.ops.compiler)
        wrapper.ops = ops
        return wrapper

    def ensure_connection(self) -> None:
        """Do nothing: it is connected."""

    def get_autocommit(self) -> bool:
        return False

    def _savepoint_allowed(self) -> bool:
        # It would be a statement.
        return False

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        return _RecordingCursor(self)

    chunked_cursor = cursor

    def record(self, sql: str, params: Any) -> None:
        """Record a statement."""
        if self.once and self.recorded:
            raise AskedOnce
        self.recorded.append((sql, params))

    def record_rows(self, queryset: Any, compiler: Any) -> list[Any]:
        """Record the query of a queryset and the layout of its rows, and return no rows."""
        self.record(*compiler.as_sql())
        self.layout = Layout.of(queryset, compiler)
        self.selected = [expression for expression, _, _ in compiler.select]
        return []


def _selected(query: Any) -> Iterator[Any]:
    """Yield the expressions that a query selects, and those of the subquery that it aggregates."""
    yield from query.annotation_select.values()
    yield from query.select
    if query.default_cols:
        yield from [field.cached_col for field in query.model._meta.concrete_fields]
    if (inner := getattr(query, "inner_query", None)) is not None:
        yield from _selected(inner)


def _noting_compiler(compiler_of: Callable[[str], Any], name: str) -> Any:
    """Return the class of a compiler by Django's name of it, that which selects with a note."""
    kind = compiler_of(name)
    return _noting(kind) if name in _SELECTING else kind


@cache
def _noting(kind: Any) -> Any:
    """Return a class of compilers that tell their connection when they select."""

    class NotingCompiler(kind):  # type: ignore[misc]
        def execute_sql(self, *args: Any, **kwargs: Any) -> Any:
            recorder = self.connection
            recorder.selected = [*_selected(self.query)]
            # It holds the connection, which nothing else does when it has recorded.
            recorder.selecting = self if recorder.once else None
            return super().execute_sql(*args, **kwargs)

    return NotingCompiler


class _RecordingCursor:
    """A cursor whose results have no rows."""

    rowcount = 0
    description = None

    def __init__(self, connection: RecordingConnection) -> None:
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def execute(self, sql: str, params: Any = None) -> None:
        self._connection.record(sql, params)

    def fetchone(self) -> None:
        return None

    def fetchmany(self, size: int = 0) -> list[Any]:
        return []

    def fetchall(self) -> list[Any]:
        return []

    def close(self) -> None:
        pass
