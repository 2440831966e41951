"""Looks up the statement of a terminal of a queryset: the one place that decides on a hit.

The terminals ask here, and so does ``explain_cache()``. What is read of the queryset are
attributes of Django's and those of ``CachedQuerySet``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import router
from django.db.models.signals import post_delete, post_init, pre_delete, pre_init
from django.utils.timezone import get_current_timezone_name

from turbo_orm.backend import sync_connections, task_connections
from turbo_orm.query_cache import cache_key, verification
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cache_entry import CacheEntry
from turbo_orm.query_cache.cached_chain import CachedChain
from turbo_orm.query_cache.chain import split_slice
from turbo_orm.query_cache.compiled import Unbindable
from turbo_orm.query_cache.no_cache_key import NoCacheKey
from turbo_orm.query_cache.outcome import Bypass, Hit, Miss, Outcome
from turbo_orm.query_cache.statistics import CacheStatistics
from turbo_orm.query_cache.terminals import DJANGOS_TERMINALS, aggregate_with, update_with

# The terminals that ask the server though the queryset has its results.
_ASKING = {"delete", "get"}


def lookup(
    queryset: Any,
    terminal: str,
    chain: CachedChain | None,
    statistics: CacheStatistics = cache.statistics,
) -> Outcome:
    """Look up the statement of a terminal, by the name of Django's method.

    ``chain`` is the queryset's, or an extension of it. The routers are asked for the database
    unless Django's method is to be called on the queryset itself.
    """
    # One function, since each Python call would be one more for each statement.
    if chain is None or not (cache.is_enabled or cache.is_enabled_again()):
        why = queryset._bypass_reason if cache.is_enabled else cache.why_off
        return _bypass(statistics, why)
    entry, values = chain
    if (
        queryset._iterable_class is not entry.iterable_class
        or (queryset._result_cache is not None and terminal not in _ASKING)
        or terminal not in queryset._cacheable_terminals
        or terminal == "delete"
    ) and (reason := _reason_to_bypass(queryset, terminal, entry)):
        return _bypass(statistics, reason)
    if (pre_init.receivers, post_init.receivers) != cache.receivers:
        cache.follow_receivers()
    is_written = queryset._for_write or terminal == "delete"
    using: str = queryset._db or (router.db_for_write if is_written else router.db_for_read)(
        queryset.model, **queryset._hints
    )
    key = (terminal, using, queryset._fetch_mode)
    statement = entry.statements.get(key)
    if statement is None:
        return _not_cached(statistics, entry, key, using)
    if statement.zone is not None and statement.zone != get_current_timezone_name():
        why = f"the statement that is cached was compiled in the time zone {statement.zone}"
        return _miss(statistics, Miss(using, key, why))
    try:
        bound = statement.bind(values)
    except Unbindable:
        return _bypass(statistics, "one of the values has Django write another statement", using)
    except Exception:
        # What Django raises, it raises where a transaction may be broken by that.
        return _bypass(statistics, "Django refuses one of the values", using)
    entry.uses += 1
    if entry.locks_rows and not _is_in_transaction(using):
        return _bypass(statistics, "it locks rows outside of a transaction", using)
    if verification.interval and not verification.agrees_with_terminal(
        entry, key, DJANGOS_TERMINALS[terminal], bound, partial(queryset._by_django_alone, chain)
    ):
        return _bypass(statistics, verification.MISMATCH, using)
    statistics.hits += 1
    return bound


def lookup_update(queryset: Any, kwargs: dict[str, Any]) -> Outcome:
    """Look up the statement of ``update()`` with these values."""
    statistics = cache.statistics
    chain: CachedChain | None = queryset._cached
    if chain is None or not (cache.is_enabled or cache.is_enabled_again()):
        why = queryset._bypass_reason if cache.is_enabled else cache.why_off
        return _bypass(statistics, why)
    if "update" not in queryset._cacheable_terminals:
        return _bypass(statistics, f"{type(queryset).__qualname__} overrides update")
    queryset._for_write = True
    entry, given = chain
    try:
        key_of_values, values = cache_key.of_lookups((), kwargs, takes_querysets=False)
    except NoCacheKey as exc:
        return _bypass(statistics, f"update() is given {exc}")
    using: str = queryset.db
    key = ("update", key_of_values, using)
    statement = entry.statements.get(key)
    if statement is None:
        return _not_cached(statistics, entry, key, using, tuple(values))
    if statement.zone is not None:
        return _bypass(statistics, "its SQL depends on the time zone", using)
    try:
        bound = statement.bind((*given, *values))
    except Exception:
        return _bypass(statistics, "Django refuses one of the values", using)
    entry.uses += 1
    if router.routers:
        # Django asks them for the transaction, and once more for the statement.
        _ = queryset.db
    if verification.interval and not verification.agrees_with_terminal(
        entry,
        key,
        partial(update_with, kwargs),
        bound,
        partial(queryset._by_django_alone, chain),
        values,
    ):
        return _bypass(statistics, verification.MISMATCH, using)
    statistics.hits += 1
    return bound


def lookup_aggregate(
    queryset: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    statistics: CacheStatistics = cache.statistics,
) -> Outcome:
    """Look up the statement of ``aggregate()`` with these expressions."""
    chain: CachedChain | None = queryset._cached
    if chain is None or not (cache.is_enabled or cache.is_enabled_again()):
        why = queryset._bypass_reason if cache.is_enabled else cache.why_off
        return _bypass(statistics, why)
    entry, given = chain
    if "aggregate" not in queryset._cacheable_terminals:
        return _bypass(statistics, f"{type(queryset).__qualname__} overrides aggregate")
    if queryset._iterable_class is not entry.iterable_class:
        why = f"its iterable class is {queryset._iterable_class.__qualname__}"
        return _bypass(statistics, why)
    try:
        key_of_aggregates, values = cache_key.of_names(args, kwargs, takes_querysets=False)
    except NoCacheKey as exc:
        return _bypass(statistics, f"aggregate() is given {exc}")
    using: str = queryset._db or (
        router.db_for_write if queryset._for_write else router.db_for_read
    )(queryset.model, **queryset._hints)
    key = ("aggregate", key_of_aggregates, using)
    statement = entry.statements.get(key)
    if statement is None:
        return _not_cached(statistics, entry, key, using, tuple(values))
    if statement.zone is not None and statement.zone != get_current_timezone_name():
        why = f"the statement that is cached was compiled in the time zone {statement.zone}"
        return _miss(statistics, Miss(using, key, why, tuple(values)))
    values_of_chain, slices = split_slice(given)
    try:
        bound = statement.bind((*values_of_chain, *values, *slices))
    except Unbindable:
        return _bypass(statistics, "one of the values has Django write another statement", using)
    except Exception:
        return _bypass(statistics, "Django refuses one of the values", using)
    entry.uses += 1
    if verification.interval and not verification.agrees_with_terminal(
        entry,
        key,
        partial(aggregate_with, args, kwargs),
        bound,
        partial(queryset._by_django_alone, chain),
        values,
    ):
        return _bypass(statistics, verification.MISMATCH, using)
    statistics.hits += 1
    return bound


def take_back(hit: Hit) -> Bypass:
    """Count a hit as a bypass: its rows could not be read, and nothing was executed."""
    statistics = cache.statistics
    statistics.hits -= 1
    why = "the results of the connection's cursors cannot be read"
    return _bypass(statistics, why, hit.statement.using)


def _is_in_transaction(using: str) -> bool:
    """Return whether the connection of the running code is in a transaction."""
    where: Any = sync_connections if sync_connections.are_used() else task_connections
    is_in_transaction: bool = where.is_in_transaction(using)
    return is_in_transaction


def _reason_to_bypass(queryset: Any, terminal: str, entry: CacheEntry) -> str:
    """Say why Django's method is to be called. Empty if nothing keeps it from being cached."""
    if queryset._result_cache is not None and terminal not in _ASKING:
        return "the results are there already"
    if queryset._iterable_class is not entry.iterable_class:
        return f"its iterable class is {queryset._iterable_class.__qualname__}"
    if terminal not in queryset._cacheable_terminals:
        return f"{type(queryset).__qualname__} overrides {terminal}"
    if terminal == "delete" and (
        pre_delete.has_listeners(queryset.model) or post_delete.has_listeners(queryset.model)
    ):
        return "pre_delete or post_delete has receivers"
    return ""


def _not_cached(
    statistics: CacheStatistics,
    entry: CacheEntry,
    key: tuple[Any, ...],
    using: str,
    values: tuple[Any, ...] = (),
) -> Miss | Bypass:
    refusal = entry.refusals.get(key)
    if refusal is None:
        return _miss(statistics, Miss(using, key, "nothing has been traced", values))
    if refusal.is_final:
        return _bypass(statistics, refusal.reason, using)
    why = "nothing has been traced from values that give a statement"
    return _miss(statistics, Miss(using, key, why, values))


def _miss(statistics: CacheStatistics, miss: Miss) -> Miss:
    statistics.misses += 1
    return miss


def _bypass(statistics: CacheStatistics, reason: str, using: str | None = None) -> Bypass:
    statistics.count_bypass(reason)
    return Bypass(reason, using)
