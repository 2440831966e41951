"""Prefetches related objects as Django does, by cached statements and without the bridge.

``prefetch()`` is Django's ``prefetch_related_objects()``, lookup by lookup and level by level. A
level whose relation is Django's own is fetched by **prefetch_level**; any other by Django's
functions, on the bridge. Levels that do not depend on each other are fetched by one message.
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
from turbo_orm.orm.prefetch_level import Fetched, Level
from turbo_orm.orm.relations import Relation, relation_of
from turbo_orm.query_cache.cache import cache

_FUNCTIONS = (
    "get_prefetcher",
    "normalize_prefetch_lookups",
    "prefetch_one_level",
    "prefetch_related_objects",
)
_DJANGOS = {name: getattr(query, name) for name in _FUNCTIONS}


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
        # The levels whose statements were looked up before it is their turn, by path.
        self._ahead: dict[str, tuple[Any, Level]] = {}
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
        fetched = await self._by_statement(lookup, level, name, to, path, objects)
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
        self, lookup: Any, level: int, name: str, to: str, path: str, objects: Any
    ) -> Fetched | None:
        """Fetch a level by a cached statement. Return ``None`` where Django has to."""
        made_for, ahead = self._ahead.pop(path, (None, None))
        relation = _relation(lookup, name, objects)
        if relation is None:
            return None
        missing = prefetch_level.missing(relation, name, to, objects)
        if missing:
            if (
                ahead is not None
                # Another lookup of the same path may have another queryset.
                and made_for is lookup
                and [*map(id, ahead.instances)] == [*map(id, missing)]
            ):
                return await ahead.fetch()
            make = self._queryset_class
            wanted = prefetch_level.level_of(relation, lookup, level, to, missing, make)
            if wanted is not None and self._pending and wanted.look_up() is not None:
                await self._fetch_ahead(path, wanted)
            return None if wanted is None else await wanted.fetch()
        found = None if missing is None else prefetch_level.related(relation, name, to, objects)
        return None if found is None else (found, None, None)

    async def _fetch_ahead(self, path: str, wanted: Level) -> None:
        """Execute the statement of a level by one message with those that do not depend on it.

        What comes with it is given to instances when it is the lookup's turn.
        """
        levels = [wanted]
        seen = {path}
        for lookup in reversed(self._pending):
            try:
                path, level = self._next_level(lookup)
            except Exception:
                # It is raised in the lookup's turn. Which paths it has is not known.
                break
            if path not in seen and level is not None and level.look_up() is not None:
                levels.append(level)
                self._ahead[path] = lookup, level
            # Those that follow may come by the same path, with another queryset.
            seen.add(path)
        await prefetch_level.execute_together(levels)
        for each in levels:
            if each.is_received:
                await each.load()

    def _next_level(self, lookup: Any) -> tuple[str, Level | None]:
        """Return the first path of a lookup that was not followed yet, and how it is fetched."""
        objects: Any = self._instances
        paths = lookup.prefetch_to.split("__")
        path = ""
        for level, name in enumerate(lookup.prefetch_through.split("__")):
            path = "__".join(paths[: level + 1])
            if path in self._done:
                objects = self._done[path]
            elif path in self._ahead:
                _, ahead = self._ahead[path]
                if ahead.objects is None or ahead.prefetches:
                    # The lookups that its queryset brings come first.
                    break
                objects = ahead.objects
            elif objects and _prepare(objects):
                relation = _relation(lookup, name, objects)
                to = paths[level]
                if relation is not None and (
                    missing := prefetch_level.missing(relation, name, to, objects)
                ):
                    make = self._queryset_class
                    return path, prefetch_level.level_of(
                        relation, lookup, level, to, missing, make
                    )
                break
        return path, None


def _relation(lookup: Any, name: str, objects: Any) -> Relation | None:
    """Return the relation by which all objects are related, if a statement can be cached."""
    if type(lookup) is not Prefetch or type(objects) is not list:
        return None
    relation = relation_of(objects[0], name)
    return relation if len({*map(type, objects)}) == 1 else None


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
) -> Fetched:
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
