"""Django's own methods, for what is not cached: what they have executed is traced after that.

All functions here but the coroutine run on the bridge, or in plain code on a sync connection.
``outcome`` is what the look-up gave.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from django.core.exceptions import FieldDoesNotExist, MultipleObjectsReturned, ObjectDoesNotExist
from django.db.models import Model

from turbo_orm import bridge
from turbo_orm.backend import content_type_cache
from turbo_orm.execution import evaluation
from turbo_orm.query_cache import cache_key, terminals
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cached_chain import CachedChain
from turbo_orm.query_cache.chain import split_slice
from turbo_orm.query_cache.outcome import Bypass, Miss
from turbo_orm.query_cache.parameters import field_binder
from turbo_orm.query_cache.terminals import DJANGOS_TERMINALS
from turbo_orm.query_cache.tracing import trace
from turbo_orm.query_cache.written_values import WrittenValue


async def call(queryset: Any, terminal: str, outcome: Miss | Bypass) -> Any:
    """Call a terminal of Django's, and trace its statement where that may be cached."""
    if outcome.using is None:
        return await bridge.run(getattr(queryset, terminal))
    return await bridge.run(call_sync, queryset, terminal, outcome)


def call_sync(queryset: Any, terminal: str, outcome: Miss | Bypass) -> Any:
    """Call a terminal of Django's on a copy, and trace its statement where that may be cached."""
    chain = queryset._cached
    copied = queryset._copy(chain)
    copied._routed = outcome.using
    try:
        answer = DJANGOS_TERMINALS[terminal](copied)
    except (ObjectDoesNotExist, MultipleObjectsReturned):
        _trace(queryset, chain, terminal, outcome)
        raise
    _trace(queryset, chain, terminal, outcome)
    return answer


def _trace(queryset: Any, chain: CachedChain, terminal: str, outcome: Miss | Bypass) -> None:
    if isinstance(outcome, Miss) and cache.is_seen(chain[0], outcome.key):
        ask = DJANGOS_TERMINALS[terminal]
        over = partial(queryset._over, using=outcome.using)
        of_objects = terminal not in {"count", "delete", "exists"}
        trace(chain, outcome.key, ask, over, outcome.using, (), of_objects)


def fetch(queryset: Any, outcome: Miss | Bypass) -> None:
    """Do what ``_fetch_all()`` does but for prefetching, and trace the statement."""
    chain = queryset._cached
    # Compiling reads the query, so it is that of a copy.
    copied = queryset._without_chain("")
    evaluation.fill_cache(copied, outcome.using)
    found = queryset._result_cache = copied._result_cache
    _trace(queryset, chain, "_fetch_all", outcome)
    key = ("_fetch_all", outcome.using, queryset._fetch_mode)
    statement = chain[0].statements.get(key)
    if statement is not None and found is not None:
        statement.rows = len(found)


def open_chunks(queryset: Any, chunk_size: int, outcome: Miss) -> Generator[list[Any]]:
    """Open the results in lists, without prefetches, and trace the statement."""
    chain = queryset._cached
    copied = queryset._without_chain("")
    copied._routed = outcome.using
    chunks = evaluation.open_chunks(copied, chunk_size, False)
    _trace(queryset, chain, "_fetch_all", outcome)
    return chunks


def create(queryset: Any, kwargs: dict[str, Any]) -> Any:
    """Create an instance as Django does, whose generic relations are touched in plain code."""
    instance = queryset.create(**kwargs)
    # One that overrides create() may return anything.
    if isinstance(instance, Model):
        content_type_cache.fill(instance._state.db or queryset.db, type(instance))
    return instance


def aggregate(
    queryset: Any, outcome: Miss | Bypass, args: Sequence[Any], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Aggregate as Django does, and trace the statement."""
    chain = queryset._cached
    if chain is None or "aggregate" not in queryset._cacheable_terminals:
        answer: dict[str, Any] = queryset.aggregate(*args, **kwargs)
        return answer
    copied = queryset._copy(chain)
    copied._routed = outcome.using
    answer = terminals.aggregate(copied, *args, **kwargs)
    if isinstance(outcome, Miss) and cache.is_seen(chain[0], outcome.key):
        values = enumerate(outcome.values, len(split_slice(chain[1])[0]))
        written = [WrittenValue(slot, None, value) for slot, value in values]
        ask = partial(terminals.aggregate_with, args, kwargs)
        over = partial(queryset._over, using=outcome.using)
        trace(chain, outcome.key, ask, over, outcome.using, written)
    return answer


def update(queryset: Any, outcome: Miss | Bypass, kwargs: dict[str, Any]) -> int:
    """Update as Django does, and trace the statement."""
    chain = queryset._cached
    if outcome.using is None or chain is None:
        rows: int = queryset.update(**kwargs)
        return rows
    copied = queryset._copy(chain)
    copied._routed = outcome.using
    rows = terminals.update(copied, **kwargs)
    queryset._result_cache = None
    if isinstance(outcome, Miss) and cache.is_seen(chain[0], outcome.key):
        written = _written(queryset.model, chain, kwargs, outcome)
        if written is not None:
            ask = partial(terminals.update_with, kwargs)
            over = partial(queryset._over, using=outcome.using)
            trace(chain, outcome.key, ask, over, outcome.using, written, False)
    return rows


def _written(
    model: type[Model], chain: CachedChain, kwargs: dict[str, Any], outcome: Miss
) -> Sequence[WrittenValue] | None:
    """Return the values that are written; their slots are behind those of the chain's values."""
    names = cache_key.names_of_values(kwargs)
    values = outcome.values
    if len(names) != len(values) or any(isinstance(each, Model) for each in values):
        return None
    written: list[WrittenValue] = []
    for slot, (name, value) in enumerate(zip(names, values, strict=True), len(chain[1])):
        if name is None:
            written.append(WrittenValue(slot, None, value))
            continue
        try:
            field: Any = model._meta.get_field(name)
        except FieldDoesNotExist:
            return None
        if not field.concrete:
            return None
        written.append(WrittenValue(slot, field_binder(slot, field, outcome.using), value))
    return written
