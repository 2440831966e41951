"""Prefetches related objects as Django does, by cached statements and without the bridge.

``prefetch()`` is Django's ``prefetch_related_objects()``, lookup by lookup and level by level. A
level whose relation is Django's own is fetched by **prefetch_level**; any other by Django's
functions, on the bridge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import router
from django.db.models import Prefetch, query
from django.db.models.query import (
    get_prefetcher,
    normalize_prefetch_lookups,
    prefetch_one_level,
)

from turbo_orm import bridge
from turbo_orm.orm import prefetch_level
from turbo_orm.orm.relations import relation_of
from turbo_orm.query_cache.cache import cache

_FUNCTIONS = (
    "get_prefetcher",
    "normalize_prefetch_lookups",
    "prefetch_one_level",
    "prefetch_related_objects",
)
_DJANGOS = {name: getattr(query, name) for name in _FUNCTIONS}

# The related objects, what their queryset prefetches if they were fetched, and the descriptor.
type _Fetched = tuple[list[Any], list[Any] | None, Any]


async def prefetch(
    instances: Any, lookups: Sequence[Any], queryset_class: Callable[..., Any]
) -> None:
    """Do what ``prefetch_related_objects()`` does.

    ``queryset_class`` is that of the querysets that Django has a base manager make.
    """
    if (
        type(instances) is not list
        or not (cache.is_enabled or cache.is_enabled_again())
        # They may name a database for each instance.
        or router.routers
        or [name for name, function in _DJANGOS.items() if vars(query)[name] is not function]
    ):
        await bridge.run(query.prefetch_related_objects, instances, *lookups)
    elif instances:
        await _Prefetching(instances, lookups, queryset_class).run()


class _Prefetching:
    """Django's bookkeeping of lookups: what is done, and what is to be done yet."""

    def __init__(
        self,
        instances: list[Any],
        lookups: Sequence[Any],
        queryset_class: Callable[..., Any],
    ) -> None:
        self._instances = instances
        self._queryset_class = queryset_class
        self._pending: list[Any] = normalize_prefetch_lookups(lookups[::-1])
        # The objects that were fetched, by their path.
        self._done: dict[str, Any] = {}
        # Lookups that querysets have brought with them, and the descriptors followed.
        self._automatic: set[Any] = set()
        self._followed: set[Any] = set()

    async def run(self) -> None:
        while self._pending:
            lookup = self._pending.pop()
            if lookup.prefetch_to not in self._done:
                await self._follow(lookup)
            elif lookup.queryset is not None:
                raise ValueError(
                    f"'{lookup.prefetch_to}' lookup was already seen with a different queryset. "
                    "You may need to adjust the ordering of your lookups."
                )

    async def _follow(self, lookup: Any) -> None:
        objects: Any = self._instances
        names = lookup.prefetch_through.split("__")
        paths = lookup.prefetch_to.split("__")
        for level, name in enumerate(names):
            if not objects:
                break
            path = "__".join(paths[: level + 1])
            if path in self._done:
                objects = self._done[path]
                continue
            if not _prepare(objects):
                break
            objects = await self._fetch(lookup, level, name, paths[level], path, objects)

    async def _fetch(
        self, lookup: Any, level: int, name: str, to: str, path: str, objects: Any
    ) -> Any:
        """Fetch what was not fetched yet of a level, and return the related objects."""
        fetched = await self._by_statement(lookup, level, name, to, objects)
        if fetched is None:
            is_last = level == lookup.prefetch_through.count("__")
            fetched = await bridge.run(_by_django, lookup, level, name, to, is_last, objects)
        found, additional, descriptor = fetched
        if additional is None:
            return found
        if not (path in self._done and lookup in self._automatic and descriptor in self._followed):
            self._done[path] = found
            if additional:
                added = normalize_prefetch_lookups(additional[::-1], path)
                self._automatic.update(added)
                self._pending.extend(added)
        self._followed.add(descriptor)
        return found

    async def _by_statement(
        self, lookup: Any, level: int, name: str, to: str, objects: Any
    ) -> _Fetched | None:
        """Fetch a level by a cached statement. Return ``None`` where Django has to."""
        if type(lookup) is not Prefetch or type(objects) is not list:
            return None
        relation = relation_of(objects[0], name)
        if relation is None or len({*map(type, objects)}) != 1:
            return None
        missing = prefetch_level.missing(relation, name, to, objects)
        if missing:
            make = self._queryset_class
            return await prefetch_level.fetch(relation, lookup, level, to, missing, make)
        found = None if missing is None else prefetch_level.related(relation, name, to, objects)
        return None if found is None else (found, None, None)


def _prepare(objects: Iterable[Any]) -> bool:
    """Have objects keep what is prefetched. Return whether they can."""
    for each in objects:
        if not hasattr(each, "_prefetched_objects_cache"):
            try:
                each._prefetched_objects_cache = {}
            except (AttributeError, TypeError):
                return False
    return True


def _by_django(
    lookup: Any, level: int, name: str, to: str, is_last: bool, objects: Any
) -> _Fetched:
    """Fetch a level by Django's functions. Runs on the bridge."""
    first = next(iter(objects))
    found_in: Any = get_prefetcher(first, name, to)
    prefetcher, descriptor, is_found, is_fetched = found_in
    if not is_found:
        raise AttributeError(
            f"Cannot find '{name}' on {type(first).__name__} object, '{lookup.prefetch_through}' "
            "is an invalid parameter to prefetch_related()"
        )
    if is_last and prefetcher is None:
        raise ValueError(
            f"'{lookup.prefetch_through}' does not resolve to an item that supports prefetching - "
            "this is an invalid parameter to prefetch_related()."
        )
    if prefetcher is not None:
        missing = [each for each in objects if not is_fetched(each)]
        if missing:
            return (*prefetch_one_level(missing, prefetcher, lookup, level), descriptor)
    related: list[Any] = []
    for each in objects:
        if name in getattr(each, "_prefetched_objects_cache", ()):
            found: Any = list(each._prefetched_objects_cache.get(name))
        else:
            try:
                found = getattr(each, name)
            except ObjectDoesNotExist:
                continue
        if isinstance(found, list):
            related += found
        elif found is not None:
            related.append(found)
    return related, None, descriptor
