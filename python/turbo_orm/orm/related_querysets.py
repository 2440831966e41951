"""The querysets of related managers that hold what was prefetched: one for each instance.

Django has the manager of each instance make its own, by dozens of calls. Here Django makes the
first, unless its filter was recorded, and the native core makes one for each instance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from turbo_orm import conf
from turbo_orm._core import RelatedQuerysets
from turbo_orm.hydration.instances import HAS_FETCH_MODES
from turbo_orm.orm.cached_queryset import DEFAULTS
from turbo_orm.orm.relations import Relation
from turbo_orm.query_cache.cached_chain import CachedChain
from turbo_orm.query_cache.prefetch_filters import REVERSE_MANY
from turbo_orm.query_cache.prepared_values import DeferredValue

# Attributes of a queryset that belong to it alone.
_OWN = ("_deferred_filter", "_query", "_result_cache")


def giver(
    relation: Relation, name: str, given: Any, instances: list[Any], groups: dict[Any, list[Any]]
) -> Callable[[int, int], None]:
    """Return what gives a slice of instances the querysets of their related objects.

    These are grouped by key. ``given`` is the queryset of a ``Prefetch``.
    """
    attname, cache_name = relation.attname, relation.cache_name
    querysets = None
    # Where something was prefetched before by that name, the manager returns it.
    if not [each for each in instances if cache_name in each._prefetched_objects_cache]:
        first = instances[0]
        querysets = _recorded(relation, given, first) or _made(relation, name, given, first)
    if querysets is None:
        return partial(_give, relation, name, given, instances, groups)
    if given is not None:
        # They share the hints.
        given._hints["instance"] = instances[-1]
    return partial(querysets.give, instances, groups, attname, cache_name)


def _give(
    relation: Relation,
    name: str,
    given: Any,
    instances: list[Any],
    groups: dict[Any, list[Any]],
    start: int,
    stop: int,
) -> None:
    for each in instances[start:stop]:
        queryset = _by_django(each, name, given)
        queryset._result_cache = groups.get(each.__dict__[relation.attname], [])
        queryset._prefetch_done = True
        each._prefetched_objects_cache[relation.cache_name] = queryset


def _by_django(instance: Any, name: str, given: Any) -> Any:
    manager = getattr(instance, name)
    if given is None:
        return manager.get_queryset()
    return manager._apply_rel_filters(given._chain())


def _recorded(relation: Relation, given: Any, first: Any) -> RelatedQuerysets | None:
    """Return what makes querysets as Django does, if the filter of their manager was recorded.

    ``given`` can be filtered further, and all instances have the default fetch mode.
    """
    if conf.VERIFIES:
        return None
    queryset_class: Any = relation.queryset_class
    like = queryset_class(model=relation.model) if given is None else given
    if like._cached is None:
        return None
    entry, values = like._cached
    is_by_instance = relation.kind == REVERSE_MANY
    step_key: Any = relation.manager_step_key
    if is_by_instance:
        step_key = ("filter", (relation.descriptor.field.name, type(first)), False)
    child = entry.children.get(step_key)
    if child is None or child.refusal or entry.is_sticky:
        return None
    factories = child.step.factories
    if is_by_instance and not factories:
        return None
    # It is looked up here alone, where nothing is asked of the querysets.
    child.uses += 1
    factory = factories[0] if factories else None
    shared = like._copy(like._cached).__dict__
    shared["_prefetch_done"] = True
    return _copies(relation, type(like), shared, child, values, factory, given)


def _made(relation: Relation, name: str, given: Any, first: Any) -> RelatedQuerysets | None:
    """Return what makes querysets like the one that Django makes for the first instance."""
    made = _by_django(first, name, given)
    shared = _shared(relation, made, first, given)
    if shared is None:
        return None
    entry, (*values, last) = made._cached
    factory = last.factory if type(last) is DeferredValue else None
    return _copies(relation, type(made), shared, entry, tuple(values), factory, given)


def _copies(
    relation: Relation,
    queryset_class: Any,
    shared: dict[str, Any],
    entry: Any,
    values: tuple[Any, ...],
    factory: Any,
    given: Any,
) -> RelatedQuerysets:
    return RelatedQuerysets(
        queryset_class,
        shared,
        CachedChain,
        entry,
        values,
        deferred=None if factory is None else (DeferredValue, factory),
        field=relation.descriptor.field if relation.kind == REVERSE_MANY else None,
        has_hints=given is None,
        fetch_modes=HAS_FETCH_MODES,
    )


def _shared(relation: Relation, made: Any, first: Any, given: Any) -> dict[str, Any] | None:
    """Return the attributes that the querysets of all instances have.

    ``None`` unless the instance and its key stand in what Django has made where they always do.
    """
    attributes = made.__dict__
    key = first.__dict__[relation.attname]
    chain = attributes.get("_cached")
    if chain is None or not chain[1] or any(map(attributes.get, _OWN)):
        return None
    last = chain[1][-1]
    value = last.value if type(last) is DeferredValue else last
    known: dict[Any, Any] = {}
    if relation.kind == REVERSE_MANY:
        known = {relation.descriptor.field: {key: first}}
        is_last = value is first
    else:
        is_last = type(value) is relation.key_type and value == key
    is_as_ever = (
        is_last
        and made._hints == {"instance": first}
        and (given is None or made._hints is given._hints)
        and made._known_related_objects == known
    )
    # A class has the defaults. What is verified against is made again where it is needed.
    shared = {
        name: value
        for name, value in attributes.items()
        if name != "_twin" and not (name in DEFAULTS and value is DEFAULTS[name])
    }
    return {**shared, "_prefetch_done": True} if is_as_ever else None
