"""One level of a prefetch: the related objects by a cached statement, joined to their instances.

What Django's descriptors and ``prefetch_one_level()`` do is done here without a Python call for
each object: the native core groups related objects by key while it makes them, and gives each
instance its own, slice by slice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from copy import copy
from functools import partial
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models.query import ModelIterable

from turbo_orm import bridge, conf
from turbo_orm._core import Join
from turbo_orm.execution import direct, fetching
from turbo_orm.execution.fetching import SLICE
from turbo_orm.hydration import gc_control
from turbo_orm.hydration.hydrator import MIN_PAUSE_ROWS
from turbo_orm.hydration.instances import HAS_FETCH_MODES
from turbo_orm.orm import related_querysets
from turbo_orm.orm.cached_queryset import DEFAULT_FETCH_MODE
from turbo_orm.orm.relations import Relation
from turbo_orm.query_cache import cache_key
from turbo_orm.query_cache.cached_chain import CachedChain
from turbo_orm.query_cache.lookup import lookup
from turbo_orm.query_cache.outcome import Hit
from turbo_orm.query_cache.prefetch_filters import FORWARD, REVERSE_MANY

type Give = Callable[[int, int], None]

# The related objects, what their queryset prefetches if they were fetched, and the descriptor.
type Fetched = tuple[list[Any], list[Any] | None, Any]


def missing(relation: Relation, name: str, to: str, objects: list[Any]) -> list[Any] | None:
    """Return the objects for which nothing was fetched yet, ``None`` where Django has to look."""
    if name != to:
        if hasattr(type(objects[0]), to):
            return None
        return [each for each in objects if not hasattr(each, to)]
    cache_name = relation.cache_name
    if relation.is_single:
        return [
            each
            for each in objects
            if cache_name not in each._state.__dict__.get("fields_cache", ())
        ]
    return [each for each in objects if name not in each._prefetched_objects_cache]


def related(relation: Relation, name: str, to: str, objects: list[Any]) -> list[Any] | None:
    """Return the related objects that were fetched before, ``None`` where Django has to look."""
    if name != to:
        return None
    cache_name = relation.cache_name
    if relation.is_single:
        found = [each._state.fields_cache[cache_name] for each in objects]
        return [each for each in found if each is not None]
    querysets = [each._prefetched_objects_cache[name] for each in objects]
    if any(getattr(each, "_result_cache", None) is None for each in querysets):
        return None
    return [each for queryset in querysets for each in queryset._result_cache]


class Level:
    """A level that is to be fetched: the queryset of the related objects, and how to join them."""

    def __init__(
        self,
        relation: Relation,
        given: Any,
        attribute: str | None,
        instances: list[Any],
        by_key: dict[Any, Any],
        queryset: Any,
    ) -> None:
        self.instances = instances
        #: The statement if it was looked up already, and the related objects once they are there.
        self.found: Hit | None = None
        self.objects: list[Any] | None = None
        # The related objects of rows that have arrived, or what makes them.
        self._received: Any = None
        self._relation = relation
        # The queryset of a Prefetch, and the attribute to be set if it names one.
        self._given = given
        self._attribute = attribute
        self._by_key = by_key
        self._additional = [copy(each) for each in queryset._prefetch_related_lookups]
        self._queryset = _filtered(queryset, relation, [*by_key]) if by_key else None
        if self._queryset is not None and relation.related_cache_name is None:
            # Django merges them with what is left to do. Other querysets it evaluates as they are.
            self._queryset._prefetch_related_lookups = ()
        self._join = Join(
            relation.related_attname,
            by_key,
            relation.related_cache_name,
            keeps=relation.kind == REVERSE_MANY,
        )

    def look_up(self) -> Hit | None:
        """Return the statement if it is cached."""
        if self._queryset is not None and self.found is None:
            found = lookup(self._queryset, "_fetch_all", self._queryset._cached)
            self.found = found if isinstance(found, Hit) else None
        return self.found

    @property
    def prefetches(self) -> bool:
        """Whether the queryset of the related objects prefetches in turn."""
        return bool(self._additional)

    @property
    def is_received(self) -> bool:
        """Whether the rows of the statement have arrived."""
        return self._received is not None

    def receive(self, rows: tuple[Any, Any]) -> None:
        """Take the rows of the statement, and choose how they are read.

        That is done while their connection is as it was when they arrived.
        """
        assert self.found is not None
        queryset, statement = self._queryset, self.found.statement
        self._received = fetching.hydrate(queryset, statement, *rows, self._join_of(queryset))

    async def load(self) -> list[Any]:
        """Return the related objects, which no instance has yet. They are fetched once."""
        if self.objects is None:
            self.objects = [] if self._queryset is None else await self._related(self._queryset)
        return self.objects

    async def fetch(self) -> Fetched:
        """Give the instances their related objects, which are fetched unless they are there.

        Return these, what their queryset prefetches, and the descriptor.
        """
        relation, instances = self._relation, self.instances
        found = await self.load()
        groups = self._join.groups
        if found and not groups:
            keys = await _keys_of_related(relation, found)
            with gc_control.paused(len(found), promotes=False):
                _join(relation, found, keys, self._by_key, groups)
        give = self._giver(groups)
        for start in range(0, len(instances), SLICE):
            if start:
                await asyncio.sleep(0)
            stop = min(start + SLICE, len(instances))
            rows = stop - start
            with gc_control.paused(rows, False) if stop >= MIN_PAUSE_ROWS else nullcontext():
                give(start, stop)
        return found, self._additional, relation.descriptor

    async def _related(self, queryset: Any) -> list[Any]:
        join, received = self._join_of(queryset), self._received
        if self.found is not None:
            if received is None:
                received = await queryset._objects(self.found, join)
            queryset._result_cache = received if isinstance(received, list) else await received
            queryset._compiled_for = self.found.statement.using
        # For each list of keys, Django would compile it anew.
        await queryset._fetch(join)
        related: list[Any] = queryset._result_cache
        return related

    def _join_of(self, queryset: Any) -> Join | None:
        """Return what joins related objects while they are made, if they are filled directly.

        Django joins them after what the queryset knows is set, and what it prefetches is fetched.
        """
        is_last = not (queryset._known_related_objects or queryset._prefetch_related_lookups)
        return self._join if is_last else None

    def _giver(self, groups: dict[Any, list[Any]]) -> Give:
        """Return what gives instances from one number to another what belongs to them."""
        relation, instances, attribute = self._relation, self.instances, self._attribute
        if attribute is not None:
            _refuse_field(type(instances[0]), attribute)
            return partial(_give_attribute, relation, groups, attribute, instances)
        if relation.is_single:
            return partial(self._join.give_one, instances, relation.attname, relation.cache_name)
        name = relation.cache_name
        return related_querysets.giver(relation, name, self._given, instances, groups)


async def execute_together(levels: Sequence[Level]) -> None:
    """Have levels whose statements were looked up receive their rows, if there are several.

    Those of one database are executed by one message, unless each has to be by itself.
    """
    statements = {each: each.found for each in levels if each.found is not None}
    using = {each.statement.using for each in statements.values()}
    if len(statements) > 1 and len(using) == 1:
        results = await direct.execute_together(using.pop(), [*statements.values()])
        for each, rows in zip(statements, results or (), strict=False):
            # What raises does so when it is executed in its turn.
            with suppress(Exception):
                each.receive(rows)


def level_of(
    relation: Relation,
    prefetched: Any,
    level: int,
    to: str,
    instances: list[Any],
    queryset_class: Callable[..., Any],
) -> Level | None:
    """Return a level of what is prefetched for instances. ``None`` where Django has to fetch it.

    ``queryset_class`` is that of the querysets that Django has a base manager make.
    """
    is_last = level == prefetched.prefetch_through.count("__")
    given = prefetched.queryset if is_last else None
    by_key = _by_key(relation, instances)
    if by_key is None or not (given is None or _is_plain(given, relation)):
        return None
    queryset: Any = given
    if given is None:
        if HAS_FETCH_MODES and relation.is_single:
            # Django asks the first instance for it, which has it from then on.
            _ = instances[0]._state.fetch_mode
        made = relation.queryset_class or queryset_class
        queryset = made(model=relation.model, hints={"instance": instances[0]})
    else:
        # As Django does, and the caller may see.
        queryset._add_hints(instance=instances[0])
    attribute = to if prefetched.to_attr and is_last else None
    return Level(relation, given, attribute, instances, by_key, queryset)


def _join(
    relation: Relation,
    found: list[Any],
    keys: list[Any],
    by_key: dict[Any, Any],
    groups: dict[Any, list[Any]],
) -> None:
    """Group related objects that were made otherwise, as the native core does."""
    cache_name = relation.related_cache_name
    keeps = relation.kind == REVERSE_MANY
    for key, each in zip(keys, found, strict=True):
        groups.setdefault(key, []).append(each)
        if cache_name is None:
            continue
        # What Django makes when it is first looked at.
        fields_cache = each._state.__dict__.setdefault("fields_cache", {})
        if not (keeps and cache_name in fields_cache):
            fields_cache[cache_name] = by_key[key]


def _give_attribute(
    relation: Relation,
    groups: dict[Any, list[Any]],
    name: str,
    instances: list[Any],
    start: int,
    stop: int,
) -> None:
    """Give each instance its related objects, or the one, as an attribute."""
    attname, is_single = relation.attname, relation.is_single
    for each in instances[start:stop]:
        group = groups.get(each.__dict__[attname], [])
        setattr(each, name, (group[0] if group else None) if is_single else group)


def _by_key(relation: Relation, instances: list[Any]) -> dict[Any, Any] | None:
    """Return instances by their key, ``None`` unless there is nothing unusual to them."""
    try:
        by_key = {each.__dict__[relation.attname]: each for each in instances}
    except KeyError:
        # A deferred field is fetched for each.
        return None
    if relation.kind == FORWARD:
        by_key.pop(None, None)
    if {*map(type, by_key)} - {relation.key_type}:
        return None
    default = DEFAULT_FETCH_MODE
    if HAS_FETCH_MODES:
        modes = [each._state.__dict__.get("fetch_mode", default) for each in instances]
        if modes.count(default) != len(modes):
            return None
    return by_key


def _is_plain(queryset: Any, relation: Relation) -> bool:
    """Return whether a queryset of a ``Prefetch`` is a chain that can be filtered further."""
    chain = getattr(queryset, "_cached", None)
    return (
        chain is not None
        and queryset.model is relation.model
        and queryset._iterable_class is ModelIterable
        and queryset._result_cache is None
        and queryset._fetch_mode is DEFAULT_FETCH_MODE
        and not (queryset._sticky_filter or queryset._defer_next_filter or queryset._fields)
        and queryset._cloning_enabled
        and chain[0].is_of_objects
    )


def _filtered(queryset: Any, relation: Relation, keys: list[Any]) -> Any:
    """Return the queryset of the objects that are related by these keys."""
    chain = queryset._cached
    if chain is not None and not conf.VERIFIES:
        # Of a list of keys, the cache key has their type: extend() would find the same.
        child = chain[0].children.get(relation.step_key)
        if child is not None and not child.refusal and child.step.factories is None:
            return queryset._copy(CachedChain((child, (*chain[1], keys))))
    return queryset._step(
        "_filter_prefetch",
        cache_key.of_lookups,
        (relation.kind, *relation.select),
        {relation.lookup: keys},
    )


async def _keys_of_related(relation: Relation, found: list[Any]) -> list[Any]:
    attname = relation.related_attname
    try:
        return [each.__dict__[attname] for each in found]
    except KeyError:
        # A deferred field is fetched for each.
        keys: list[Any] = await bridge.run(lambda: [getattr(each, attname) for each in found])
        return keys


def _refuse_field(model: Any, name: str) -> None:
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return
    raise ValueError(f"to_attr={name} conflicts with a field on the {model.__name__} model.")
