"""Values that are written to a field, as ``update()`` is given them, and how they are traced."""

from __future__ import annotations

from typing import Any, NamedTuple

from turbo_orm.query_cache.compiled import Binder
from turbo_orm.query_cache.tracers import TracedParameter


class WrittenValue(NamedTuple):
    """A value that is written to a field, and what binds it.

    A constant of an expression that is written has no binder yet.
    """

    slot: int
    binder: Binder | None
    value: Any


class TracedWrite:
    """An expression that stands for a value to be written."""

    contains_aggregate = False
    contains_over_clause = False

    def __init__(self, written: WrittenValue) -> None:
        assert written.binder is not None
        (self._param,) = written.binder.params(written.value)
        self._slot = written.slot

    def resolve_expression(self, *args: Any, **kwargs: Any) -> Any:
        return self

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return "%s", [TracedParameter(self._slot, 0, self._param)]
