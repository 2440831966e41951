"""The query cache: a tree of the chains of methods that were called, with their statements.

An entry stands for a chain by its cache key: the model, the methods, the lookups, and the types of
the values. It is a path from the model's entry; the values travel beside it (**chain**). A method
that was called before costs the look-up of a child, and needs no query of Django's. One that was
not is called by Django, which raises what it raises, and is recorded.

Entries are evicted, those first that were used least lately, when there are too many of them or
they take too much memory; and all at once when something changes that SQL depends on:
**invalidation**.
A queryset that holds an evicted entry goes on using it: it is empty.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from threading import RLock
from typing import TYPE_CHECKING, Any

from django.db.models.query import ModelIterable
from django.db.models.signals import post_init, pre_init

from turbo_orm import conf
from turbo_orm.bridge import installation
from turbo_orm.bridge.replaced_methods import modifications
from turbo_orm.query_cache import overrides
from turbo_orm.query_cache.cache_entry import CacheEntry, ModelEntry, Refusal
from turbo_orm.query_cache.statistics import CacheInfo, CacheStatistics
from turbo_orm.query_cache.step import Step

if TYPE_CHECKING:
    from turbo_orm.query_cache.compiled import CompiledStatement

# Bytes by estimate.
_MODEL_ENTRY_SIZE = 500
_ENTRY_SIZE = 1_500
_REFUSAL_SIZE = 100
_SIGHT_SIZE = 300


# How many keys are noted in an entry that were seen once. Then they are forgotten.
_MAX_SIGHTS = 1_000

# How many uses count when an entry is considered for eviction.
_MAX_USES = 7
# In as many rounds, one less, they are halved to none.
_MAX_ROUNDS = _MAX_USES.bit_length() + 1

_NOT_INSTALLED = '"turbo_orm" is not installed'
_OFF = "the query cache is off"
_SUSPENDED = "a class was modified"


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
        self._lock = RLock()  # The garbage collector may run code that queries while it is held.
        #: How often all entries were dropped.
        self.cleared = 0
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

    def store(
        self,
        entry: CacheEntry,
        key: Hashable,
        statement: CompiledStatement,
        cleared: int | None = None,
    ) -> None:
        """Cache a statement, unless all entries were dropped since ``cleared`` was read.

        Django may write another by now.
        """
        with self._lock:
            if cleared not in (None, self.cleared):
                return
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
        self.cleared += 1
        # A queryset may hold one of them.
        for entry in list(self._entries):
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
            if spared > _MAX_ROUNDS * len(self._entries):
                # The newest and those that it was reached by take all there is.
                self._clear()
                return
            oldest, _ = self._entries.popitem(last=False)
            # An entry with children may be unused by itself and still needed. Each is spared the
            # longer, the oftener it was used: what was looked up once is no match for it.
            if oldest.children or oldest.uses or oldest is entry:
                oldest.uses = min(oldest.uses, _MAX_USES) // 2
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
