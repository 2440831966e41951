"""The entries of the query cache: what is cached of a chain of methods, and of a model."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models.query import ModelIterable

from turbo_orm.query_cache.step import COMBINATORS, STEPS_TO_OBJECTS, Step

if TYPE_CHECKING:
    from turbo_orm.query_cache.compiled import CompiledStatement
    from turbo_orm.query_cache.delete_statements import DeleteStatements
    from turbo_orm.query_cache.save_statements import SaveStatements


class Refusal(NamedTuple):
    """Why no statement is cached: for good, or after so many attempts to trace one."""

    reason: str
    is_final: bool = True
    attempts: int = 0


class CacheEntry:
    """A chain by its cache key, and the statements of its terminals."""

    __slots__ = (
        "__weakref__",
        "children",
        "fields",
        "filtered_relations",
        "is_combined",
        "is_new",
        "is_of_objects",
        "is_of_values",
        "is_sticky",
        "iterable_class",
        "key",
        "locks_rows",
        "model",
        "parent",
        "refusal",
        "refusals",
        "seen",
        "size",
        "statements",
        "step",
        "uses",
    )

    def __init__(
        self,
        model: type,
        iterable_class: type,
        fields: Any = None,
        parent: CacheEntry | None = None,
        key: Hashable = None,
        step: Step | None = None,
    ) -> None:
        self.model = model
        self.iterable_class = iterable_class
        self.fields = fields
        #: Whether its rows are no instances.
        self.is_of_values = iterable_class is not ModelIterable or fields is not None
        #: Whether what is called next decides what the filter after it does.
        self.is_sticky = step is not None and step.is_sticky
        #: Whether its statements lock rows, which Django refuses outside of a transaction.
        self.locks_rows: bool = parent is not None and (
            parent.locks_rows or (step is not None and step.name == "select_for_update")
        )
        #: Whether Django refuses most methods that would change its query.
        self.is_combined: bool = parent is not None and (
            parent.is_combined or (step is not None and step.name in COMBINATORS)
        )
        #: Whether its objects can be filtered further as those of a prefetch are.
        self.is_of_objects: bool = (parent is None or parent.is_of_objects) and (
            step is None or step.name in STEPS_TO_OBJECTS
        )
        #: The names of the filtered relations that its steps have added.
        self.filtered_relations: frozenset[str] = (
            frozenset() if parent is None else parent.filtered_relations
        )
        if step is not None:
            self.filtered_relations = self.filtered_relations.union(step.filtered_relations)
        self.parent = parent
        self.key = key
        self.step = step
        self.children: dict[Hashable, CacheEntry] = {}
        #: By terminal, database and fetch mode, or by what is updated.
        self.statements: dict[Hashable, CompiledStatement] = {}
        self.refusals: dict[Hashable, Refusal] = {}
        #: The keys of calls and terminals that were asked for once, and were not recorded.
        self.seen: set[Hashable] | None = None
        #: Whether it was made at the second sight of a chain, and nothing was asked of it yet.
        self.is_new = False
        #: In bytes, by estimate.
        self.size = 0
        #: Why Django makes the step to it each time. Such an entry has no children.
        self.refusal = ""
        #: How often it was looked up. Each time that it is considered for eviction, half of a few.
        self.uses = 0

    def path(self) -> Iterator[CacheEntry]:
        """Yield the entry and those that it was reached by, up to the model's."""
        entry: CacheEntry | None = self
        while entry is not None:
            yield entry
            entry = entry.parent

    def replay(self, queryset: Any, values: Iterator[Any]) -> Any:
        """Make the calls on the way to it once more, from a queryset of all objects."""
        for each in reversed(list(self.path())):
            if each.step is not None:
                queryset = each.step.replay(queryset, values)
        return queryset

    def empty(self) -> None:
        """Drop all that is cached in it."""
        self.statements.clear()
        self.refusals.clear()
        self.children.clear()
        self.seen = None
        self.size = 0


class ModelEntry(CacheEntry):
    """The entry of all objects of a model, with how its instances are saved and deleted."""

    __slots__ = ("deletes", "ordering", "refresh_refusal", "relations", "save_refusal", "saves")

    def __init__(self, model: Any) -> None:
        super().__init__(model, ModelIterable)
        #: The model's ordering, which the statements were compiled with.
        self.ordering = copy(model._meta.ordering)
        self.saves: SaveStatements | None = None
        #: Why Django saves, or deletes, its instances each time: ``None`` if that is unknown.
        self.save_refusal: str | None = None
        #: The same of fetching their fields anew.
        self.refresh_refusal: str | None = None
        self.deletes: dict[str, DeleteStatements] = {}
        self.relations: dict[str, Any] = {}

    def empty(self) -> None:
        super().empty()
        self.saves = self.save_refusal = self.refresh_refusal = None
        self.deletes.clear()
        self.relations.clear()
