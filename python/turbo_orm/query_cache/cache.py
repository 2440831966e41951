"""The query cache: a tree of the chains of methods that were called, with their statements.

An entry stands for a chain by its cache key: the model, the methods, the lookups, and the types of
the values. It is a path from the model's entry; the values travel beside it (**chain**). A method
that was called before costs the look-up of a child, and needs no query of Django's. One that was
not is called by Django, which raises what it raises, and is recorded.

Entries are evicted, those first that were not used lately, when there are too many of them or they
take too much memory; and all at once when something changes that SQL depends on: **invalidation**.
A queryset that holds an evicted entry goes on using it: it is empty.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from copy import copy
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models.query import ModelIterable
from django.db.models.signals import post_init, pre_init

from turbo_orm import conf
from turbo_orm.bridge import installation
from turbo_orm.bridge.replaced_methods import modifications
from turbo_orm.query_cache import overrides
from turbo_orm.query_cache.statistics import CacheInfo, CacheStatistics
from turbo_orm.query_cache.step import COMBINATORS, STEPS_TO_OBJECTS, Step

if TYPE_CHECKING:
    from turbo_orm.query_cache.compiled import CompiledStatement
    from turbo_orm.query_cache.delete_statements import DeleteStatements
    from turbo_orm.query_cache.save_statements import SaveStatements

# Bytes by estimate.
_MODEL_ENTRY_SIZE = 500
_ENTRY_SIZE = 1_500
_REFUSAL_SIZE = 100
_SIGHT_SIZE = 300

# How many keys are noted in an entry that were seen once. Then they are forgotten.
_MAX_SIGHTS = 1_000

_NOT_INSTALLED = '"turbo_orm" is not installed'
_OFF = "the query cache is off"
_SUSPENDED = "a class was modified"


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
        "is_used",
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
        #: Whether it was looked up since it was last considered for eviction.
        self.is_used = False

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


class QueryCache:
    """The entries, by model, and what they take of memory."""

    def __init__(
        self,
        max_entries: int = conf.DEFAULTS["QUERY_CACHE_ENTRIES"],
        max_bytes: int = conf.DEFAULTS["QUERY_CACHE_BYTES"],
    ) -> None:
        self.is_enabled = False
        #: Why, if it is not.
        self.why_off = _NOT_INSTALLED
        # Whether a watched class was modified since it was decided.
        self._is_suspended = False
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.bytes = 0
        #: Whether a call, or a terminal, is recorded when it is made for the first time. Most that
        #: are made once are not made again, and to record one takes as long as to compile it.
        self.records_at_once = conf.VERIFIES
        self.models: dict[type, ModelEntry] = {}
        self.statistics = CacheStatistics()
        # Those that were unused when they were looked at come first.
        self._entries: OrderedDict[CacheEntry, None] = OrderedDict()
        self._lock = Lock()
        # What receives pre_init and post_init decides how instances are filled.
        self.receivers: tuple[list[Any], list[Any]] = ([], [])

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[CacheEntry]:
        return iter(list(self._entries))

    def configure(self) -> None:
        """Drop all entries, and take over the settings. Without the app, it is off."""
        with self._lock:
            self._clear()
            # A modification from here on suspends it again.
            self._is_suspended = False
            why_off = overrides.update()
            is_on = installation.is_installed and conf.get("QUERY_CACHE")
            self.why_off = why_off or (_OFF if installation.is_installed else _NOT_INSTALLED)
            self.is_enabled = is_on and not why_off and not self._is_suspended
            self.max_entries = conf.get("QUERY_CACHE_ENTRIES")
            self.max_bytes = conf.get("QUERY_CACHE_BYTES")

    def suspend(self) -> None:
        """Be off until the next query, since a watched class is about to be modified."""
        if self.is_enabled:
            self.is_enabled = False
            self.why_off = _SUSPENDED
        self._is_suspended = True

    def is_enabled_again(self) -> bool:
        """Return whether it is on, looking anew at classes that were modified."""
        if self._is_suspended:
            self.configure()
        return self.is_enabled

    def has_foreign(self, method: str) -> bool:
        """Return whether another package has replaced a method of Django's QuerySet."""
        if self._is_suspended:
            self.configure()
        return method in overrides.foreign

    def info(self) -> CacheInfo:
        """Return how often it was asked and how large it is."""
        counted = self.statistics
        return CacheInfo(
            hits=counted.hits,
            misses=counted.misses,
            bypasses=dict(counted.bypasses),
            entries=len(self),
            max_entries=self.max_entries,
            bytes=self.bytes,
            max_bytes=self.max_bytes,
        )

    def model(self, model: Any) -> ModelEntry:
        """Return the entry of all objects of a model."""
        entry = self.models.get(model)
        if entry is not None and entry.ordering == model._meta.ordering:
            return entry
        with self._lock:
            entry = self.models.get(model)
            if entry is None or entry.ordering != model._meta.ordering:
                entry = self.models[model] = ModelEntry(model)
                self._grow(entry, _MODEL_ENTRY_SIZE)
            return entry

    def follow_receivers(self) -> None:
        """Drop all entries, since ``pre_init`` or ``post_init`` have other receivers by now."""
        with self._lock:
            self._clear()
            self.receivers = (list(pre_init.receivers), list(post_init.receivers))

    def add(
        self,
        parent: CacheEntry,
        key: Hashable,
        step: Step | None,
        iterable_class: type,
        fields: Any,
    ) -> CacheEntry:
        """Record a step, and return the entry that it leads to."""
        with self._lock:
            # Another thread may have recorded it meanwhile.
            child = parent.children.get(key)
            if child is None:
                child = CacheEntry(parent.model, iterable_class, fields, parent, key, step)
                parent.children[key] = child
                self._grow(child, _ENTRY_SIZE)
            return child

    def refuse_step(self, parent: CacheEntry, key: Hashable, reason: str) -> None:
        """Leave a step to Django from now on."""
        self.add(parent, key, None, ModelIterable, None).refusal = reason

    def is_seen(self, entry: CacheEntry, key: Hashable) -> bool:
        """Return whether a call of this key was seen before, or note that it was."""
        if self.records_at_once or entry.is_new:
            entry.is_new = False
            return True
        with self._lock:
            if entry.seen is None:
                entry.seen = set()
            elif key in entry.seen:
                return True
            elif len(entry.seen) >= _MAX_SIGHTS:
                self._grow(entry, -_SIGHT_SIZE * len(entry.seen))
                entry.seen.clear()
            entry.seen.add(key)
            self._grow(entry, _SIGHT_SIZE)
        return False

    def drop(self, entry: CacheEntry, key: Hashable) -> None:
        """Drop the statement that there may be."""
        with self._lock:
            self._grow(entry, -self._drop(entry, key))

    def store(self, entry: CacheEntry, key: Hashable, statement: CompiledStatement) -> None:
        """Cache a statement, in place of the one that there may be."""
        with self._lock:
            size = statement.size - self._drop(entry, key)
            entry.statements[key] = statement
            self._grow(entry, size)

    def refuse(self, entry: CacheEntry, key: Hashable, refusal: Refusal) -> None:
        """Note why no statement is cached, in place of the one that there may be."""
        with self._lock:
            size = _REFUSAL_SIZE - self._drop(entry, key)
            entry.refusals[key] = refusal
            self._grow(entry, size)

    def _drop(self, entry: CacheEntry, key: Hashable) -> int:
        """Drop what is cached by a key, and return its size."""
        statement = entry.statements.pop(key, None)
        size = 0 if statement is None else statement.size
        if entry.refusals.pop(key, None) is not None:
            size += _REFUSAL_SIZE
        return size

    def grow(self, entry: CacheEntry, size: int) -> None:
        """Have an entry take so many bytes more."""
        with self._lock:
            self._grow(entry, size)

    def clear(self) -> None:
        """Drop all entries."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        # A queryset may hold one of them.
        for entry in self._entries:
            entry.empty()
        self.models.clear()
        self._entries.clear()
        self.bytes = 0

    def _grow(self, entry: CacheEntry, size: int) -> None:
        entry.size += size
        self.bytes += size
        self._entries[entry] = None
        spared = 0
        while len(self._entries) > self.max_entries or self.bytes > self.max_bytes:
            if spared > 2 * len(self._entries):
                # The newest and those that it was reached by take all there is.
                self._clear()
                return
            oldest, _ = self._entries.popitem(last=False)
            # An entry with children may be unused by itself and still needed. Each is spared once.
            if oldest.children or oldest.is_used or oldest is entry:
                oldest.is_used = False
                self._entries[oldest] = None
                spared += 1
            else:
                self._evict(oldest)
                spared = 0

    def _evict(self, entry: CacheEntry) -> None:
        """Drop an entry without children."""
        self.bytes -= entry.size
        entry.empty()
        parent = entry.parent
        # One that was evicted, and is used still, may have been replaced.
        if parent is None:
            if self.models.get(entry.model) is entry:
                del self.models[entry.model]
        elif parent.children.get(entry.key) is entry:
            del parent.children[entry.key]


cache = QueryCache()
modifications.listen(cache.suspend)
