"""Turns results into the objects that a queryset yields, by a plan of the native core.

A plan says which column goes where and how it is read. It is made of what Django's compiler has
selected (**row_layout**) and of the types of a result's columns (**columns**), or is one that was
cached with a statement (**plan_cache**).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from turbo_orm._core import Join, Plan
from turbo_orm.codecs.decoders import adapt_context
from turbo_orm.driver import libpq
from turbo_orm.hydration import gc_control
from turbo_orm.hydration.known_related_objects import KnownRelatedObjects

# Below this number of rows, a pause of the garbage collector takes longer than it saves.
MIN_PAUSE_ROWS = 50


class Hydrator:
    """Hydrates the results of one compiled query.

    ``known_related_objects`` are set on the instances, as a related manager of Django's does.
    ``context`` is the driver's connection, for a plan that was made to be cached. ``join`` is
    what instances that are filled directly are joined by. With ``stays_young``, or a join,
    not even many rows are promoted past the garbage collector (**gc_control**).
    """

    def __init__(
        self,
        plan: Plan,
        known_related_objects: Sequence[KnownRelatedObjects] = (),
        context: Any = None,
        join: Join | None = None,
        stays_young: bool = False,
    ) -> None:
        gc_control.collect_if_due()
        self._join = join
        self._context = context
        self._plan = plan
        self._known_related_objects = known_related_objects
        #: Whether objects are promoted, ``None`` if many are. What other objects will refer to,
        #: and refers to them, is not.
        self.promotes: bool | None = None if join is None and not stays_young else False
        #: Whether no code but the native core's runs: no converter, ``from_db()``, setter.
        are_plain = [each.is_plain for each in known_related_objects]
        self.is_native = plan.is_native and False not in are_plain
        #: What rows become: "instances", "tuples", "named tuples", "dicts" or "flat values".
        self.shape = plan.shape
        #: The names of the fields that are set to known related objects.
        self.known_fields = [known.field.name for known in known_related_objects]

    @staticmethod
    def reads_pgresults() -> bool:
        """Return whether the core can read psycopg's results. Row tuples it always can."""
        return libpq.bind()

    def result(self, pgresult: Any, start: int, stop: int) -> list[Any]:
        """Hydrate rows ``start`` to ``stop`` of a ``PGresult``."""
        adapt_context.current = self._context
        try:
            with self._pause_gc(stop - start):
                objects = self._plan.hydrate_result(pgresult, start, stop, self._join)
                return self._with_known(objects)
        finally:
            adapt_context.current = None

    def rows(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        """Hydrate row tuples that a cursor has loaded."""
        with self._pause_gc(len(rows)):
            return self._with_known(self._plan.hydrate_rows(rows))

    def _pause_gc(self, rows: int) -> AbstractContextManager[None]:
        # A model's own code may query, and wait.
        return gc_control.paused(rows, self.promotes) if self.is_native else nullcontext()

    def _with_known(self, objects: list[Any]) -> list[Any]:
        for known in self._known_related_objects:
            known.set_on(objects)
        return objects
