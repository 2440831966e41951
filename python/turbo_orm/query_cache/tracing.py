"""Traces a statement: has Django compile it, and finds out which value each parameter is made of.

Django's own method runs over a ``TracingQuery`` with tracers for values, on a connection that
records what would be executed (**recording_connection**). Then the same is done without tracers,
in another time zone. The statement is cached only if SQL and parameters agree, and if binding the
values makes the same parameters.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from contextvars import Context
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import EmptyResultSet, FullResultSet, ObjectDoesNotExist
from django.db import connections
from django.db.models.sql import Query
from django.utils import timezone, translation

from turbo_orm import bridge
from turbo_orm.backend import sync_connections
from turbo_orm.backend.handler import has_async_connection, process_connection
from turbo_orm.conf import VERIFIES
from turbo_orm.driver import libpq
from turbo_orm.query_cache import content_types
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cache_entry import CacheEntry, Refusal
from turbo_orm.query_cache.cached_chain import CachedChain
from turbo_orm.query_cache.chain import replay, split_slice
from turbo_orm.query_cache.compared_values import compared_binder
from turbo_orm.query_cache.compiled import (
    Binder,
    CompiledStatement,
    ConstantBinder,
    IntegerBinder,
    PlainBinder,
    Unbindable,
    lookup_binder,
)
from turbo_orm.query_cache.equal_values import must_differ
from turbo_orm.query_cache.instance_binder import instance_binder
from turbo_orm.query_cache.limit_offset import LimitOffset, far, limits
from turbo_orm.query_cache.list_binders import list_binder
from turbo_orm.query_cache.parameters import integer_type, plain_field, without_warnings
from turbo_orm.query_cache.prepared_values import WITH_LOOKUPS, plain_values
from turbo_orm.query_cache.recording_connection import AskedOnce, RecordingConnection
from turbo_orm.query_cache.tracers import (
    NotCacheable,
    TracedParameter,
    Tracer,
    TracingQuery,
    require_djangos_ordering,
    require_djangos_sql,
    tracers,
)
from turbo_orm.query_cache.written_values import TracedWrite, WrittenValue

logger = logging.getLogger("turbo_orm")

type Terminal = Callable[..., Any]
type Recorded = tuple[str, Sequence[Any]]

# How often a statement is traced if Django raises with the values at hand.
ATTEMPTS = 5

# A time zone in which SQL that names the time zone is another one.
_ANOTHER_ZONE = datetime.timezone(datetime.timedelta(hours=11, minutes=37))

# The classes of unexpected exceptions that were logged.
_logged: set[type[Exception]] = set()


class _Refused(Exception):
    """Django raises, or executes nothing, with the values at hand."""


def trace(
    chain: CachedChain,
    key: Hashable,
    ask: Terminal,
    over: Callable[[Query], Any],
    using: str,
    written: Sequence[WrittenValue] = (),
    of_objects: bool = True,
) -> None:
    """Cache the statement of a terminal of a chain, or why there is none.

    ``ask`` is Django's method, called with a queryset and the values to be ``written``. ``over``
    makes a queryset over a query, on the database ``using``. ``of_objects`` says whether the rows
    become objects, as a queryset makes them.
    """
    if bridge.in_calling_thread.get() is not None:
        # Others may use what is changed for the time of tracing.
        return
    entry, values = chain
    if not has_async_connection(using):
        cache.refuse(entry, key, Refusal("the engine of its database has no async connection"))
        return
    if sync_connections.are_used() and sync_connections.readable(using) is None:
        return
    if "pg_version" not in vars(process_connection(using)):
        connection: Any = connections[using]
        if connection.connection is None:
            # Django has not connected either.
            return
        # Compiling may ask for it, and cannot wait for it then.
        vars(process_connection(using))["pg_version"] = connection.pg_version
    cleared = cache.cleared
    try:
        with without_warnings():
            statement = _traced(chain, ask, over, using, written, of_objects)
    except NotCacheable as exc:
        cache.refuse(entry, key, Refusal(str(exc)))
    except _Refused as exc:
        if key in entry.statements:
            # That of another time zone, which stays.
            return
        # Other values may be traced.
        may_be_traced = values or written or isinstance(exc.__cause__, AskedOnce)
        before = entry.refusals.get(key)
        attempts = 1 if before is None else before.attempts + 1
        is_final = not may_be_traced or attempts > ATTEMPTS
        cache.refuse(entry, key, Refusal(_reason(exc), is_final, attempts))
    except Exception as exc:
        if VERIFIES:
            raise
        _log(entry, key, exc)
        cache.refuse(entry, key, Refusal(f"tracing raises {type(exc).__qualname__}"))
    else:
        cache.store(entry, key, statement, cleared)


def _log(entry: CacheEntry, key: Hashable, exc: Exception) -> None:
    """Warn of an unexpected exception, once for each class of them."""
    if type(exc) not in _logged:
        _logged.add(type(exc))
        label = entry.model._meta.label  # type: ignore[attr-defined]
        logger.warning(
            "A statement of %s could not be traced, so Django compiles it each time. This is a "
            "defect of turbo-orm: please report it.",
            label,
            exc_info=exc,
        )


def _reason(refused: _Refused) -> str:
    """Say what Django does, and nothing of the values."""
    match cause := refused.__cause__:
        case None:
            return str(refused) or "Django executes nothing"
        case AskedOnce():
            return "several statements are executed, not one"
    return f"Django raises {type(cause).__qualname__}"


def _traced(
    chain: CachedChain,
    ask: Terminal,
    over: Callable[[Query], Any],
    using: str,
    written: Sequence[WrittenValue],
    of_objects: bool,
) -> CompiledStatement:
    entry, given = chain
    if getattr(getattr(over(Query(entry.model)), "_fetch_mode", None), "track_peers", False):
        raise NotCacheable("its fetch mode tracks the peers in a result")
    values = plain_values(given)
    if slice in map(type, values[:-1]):
        raise NotCacheable("values follow on a slice")
    traces = tracers(values)
    queryset = replay(chain, over(TracingQuery(entry.model)), traces)
    constants = [each.value for each in traces if type(each) is Tracer and each.is_constant]
    if len({*constants}) != len(constants):
        # Django compares expressions, and may write equal ones once. Other values may be traced.
        raise _Refused("two constants are equal")
    try:
        writes: list[Any] = [
            Tracer(each.slot, each.value) if each.binder is None else TracedWrite(each)
            for each in written
        ]
    except Exception as exc:
        raise _Refused from exc

    def again(values: Sequence[Any] = values) -> Recorded:
        queryset = replay(chain, over(Query(entry.model)), values)
        return only_statement(record(using, ask, queryset, *[each.value for each in written]))

    try:
        with content_types.unknown():
            recorder = record(using, ask, queryset, *writes)
    except _Refused as exc:
        if isinstance(exc.__cause__, AskedOnce):
            # Raises it again, unless it is for a content type that the first query was.
            again()
            raise NotCacheable("it depends on a content type") from None
        raise
    sql, params = only_statement(recorder)
    if queryset.query.default_ordering:
        require_djangos_ordering(entry.model)
    for expression in recorder.selected:
        if (field := getattr(expression, "_output_field_or_none", None)) is not None:
            require_djangos_sql(field)
    keys = {index: key for index, each in enumerate(params) if (key := content_types.key_of(each))}
    params = [keys.get(index, each) for index, each in enumerate(params)]
    if (recorder.layout is not None) != of_objects:
        raise NotCacheable("the rows decide what Django does next")
    if recorder.layout is not None and not libpq.bind():
        raise NotCacheable("psycopg's libpq was not found")

    zone = _zone(params, sql, again)
    limit_offset = None
    if values and type(values[-1]) is slice:
        limit_offset = _limit_offset(sql, params, values, again)
        traces.pop()
        given, _ = split_slice(given)
    binders = [
        *[_binder(each, recorder, value) for each, value in zip(traces, given, strict=False)],
        *[
            _binder(trace, recorder, each.value) if each.binder is None else each.binder
            for trace, each in zip(writes, written, strict=True)
        ],
    ]
    places = [
        (each.slot, each.index) if type(each) is TracedParameter else (each,) for each in params
    ]
    _check(binders, [*given, *[each.value for each in written]], params)
    if limit_offset is not None:
        sql = limit_offset.template
    statement = CompiledStatement(
        using, sql, binders, places, recorder.layout, zone, limit_offset, tuple(keys)
    )
    slices = values[len(given) :]
    writes = [each.value for each in written]

    def agrees(others: Sequence[Any]) -> bool:
        bound = statement.bind((*others, *writes, *slices))
        return _agree((bound.sql, bound.params), again([*plain_values(others), *slices]))

    statement.must_differ = must_differ(binders[: len(given)], given, agrees)
    return statement


def _zone(params: Sequence[Any], sql: str, again: Callable[[], Recorded]) -> str | None:
    """Return the name of the time zone that a statement depends on, ``None`` if on none.

    Raises ``NotCacheable`` if it depends on something else: it is compiled without context
    variables, which languages and tenants are kept in, and without a language.
    """

    def elsewhere(zone: Any) -> Recorded | None:
        try:
            with (
                translation.override(None),
                timezone.override(zone) if settings.USE_TZ else nullcontext(),
            ):
                return again()
        except _Refused:
            return None

    here = timezone.get_current_timezone() if settings.USE_TZ else None
    if _agree((sql, params), Context().run(elsewhere, _ANOTHER_ZONE)):
        return None
    if _agree((sql, params), Context().run(elsewhere, here)):
        return timezone.get_current_timezone_name()
    # Raises what may be raised.
    again()
    raise NotCacheable("Django writes other SQL each time, or in another context")


def _limit_offset(
    sql: str,
    params: Sequence[Any],
    values: Sequence[Any],
    again: Callable[[Sequence[Any]], Recorded],
) -> LimitOffset:
    """Return where the SQL has the numbers of a slice, which is the last of the values."""
    *others, slice_ = values
    # A subquery may have the same numbers.
    before, found, after = sql.rpartition(limits(slice_))
    limit_offset = LimitOffset(before, slice_, after)
    another = far(slice_)
    # Where Django fetches no more than so many rows, another slice shows it.
    if not found or not _agree((limit_offset.sql(another), params), again([*others, another])):
        raise NotCacheable("the numbers of the slice decide the SQL")
    return limit_offset


def record(using: str, function: Callable[..., Any], *args: Any) -> RecordingConnection:
    """Call a function on a connection that records one statement, and return the connection.

    Raises ``NotCacheable`` if tracing does, and ``_Refused`` from whatever else is raised.
    """
    # Compiling may look up a content type, which Django caches, and creates where it finds none.
    # A made-up result must not be cached: the second statement is refused, Django then looks it up
    # on the real connection, and finds it in its cache when the statement is traced again.
    recorder = RecordingConnection.for_alias(using, once=True)
    try:
        bridge.with_stand_in(using, recorder, function, *args)
    except ObjectDoesNotExist:
        pass
    except NotCacheable:
        raise
    except Exception as exc:
        raise _Refused from exc
    finally:
        # That would be a cycle.
        recorder.selecting = None
    return recorder


def only_statement(recorder: RecordingConnection) -> Recorded:
    if not recorder.recorded:
        # No row can match, be it for the values or for what they are compared with.
        raise _Refused
    sql, params = recorder.recorded[0]
    return sql, params or ()


def _agree(traced: Recorded, plain: Recorded | None) -> bool:
    """Return whether what was recorded is the same but for the tracers."""
    if plain is None:
        return False
    try:
        params = [_untraced(each) for each in traced[1]]
    except Unbindable:
        return False
    return traced[0] == plain[0] and _all_equal(params, plain[1])


def _untraced(param: Any) -> Any:
    if type(param) is content_types.ContentTypeKey:
        return param()
    return param.value if type(param) is TracedParameter else param


def _binder(tracer: Tracer, recorder: RecordingConnection, value: Any) -> Binder:
    """Return what makes the parameters of a value."""
    if tracer.is_constant:
        if tracer.lookups:
            raise NotCacheable("a value is a constant, and is compared with, too")
        expressions = [(expression, sql) for expression, (sql, *_) in tracer.constants]
        return ConstantBinder(tracer.slot, expressions, _bare_compiler(recorder.alias))
    if len(tracer.lookups) != 1:
        raise NotCacheable(f"a value goes into {len(tracer.lookups)} lookups")
    (lookup,) = tracer.lookups
    if type(value) in WITH_LOOKUPS:
        try:
            binder = lookup_binder(tracer.slot, value.lookup, _bare_compiler(recorder.alias))
        except (EmptyResultSet, FullResultSet):
            raise NotCacheable("a value decides the SQL") from None
        except ValueError:
            raise NotCacheable("a value is compared with an outer query's column") from None
        return instance_binder(binder, lookup, value, recorder.ops)
    field = plain_field(lookup, tracer.value)
    if field is None:
        return compared_binder(tracer, lookup, _bare_compiler(recorder.alias))
    if type(tracer.value) in (list, tuple):
        return list_binder(tracer.slot, field, tracer.value, recorder.ops)
    if type(tracer.value) is not int:
        return PlainBinder(tracer.slot)
    low, high = recorder.ops.integer_field_range(field.get_internal_type())
    return IntegerBinder(tracer.slot, integer_type(field, recorder.ops), low, high)


@lru_cache(maxsize=100)
def _bare_compiler(using: str) -> Any:
    """Return a compiler of no query, for lookups: they hold all that they compile."""
    connection = process_connection(using)
    return connection.ops.compiler("SQLCompiler")(Query(None), connection, using)


def _check(binders: Sequence[Binder], values: Sequence[Any], params: Sequence[Any]) -> None:
    """Raise ``NotCacheable`` unless the binders make the parameters that Django has made."""
    try:
        made = [binder.params(values[binder.slot]) for binder in binders]
    except Unbindable:
        raise NotCacheable("a value decides the SQL") from None
    found: set[int] = set()
    for each in params:
        if type(each) is TracedParameter:
            found.add(each.slot)
            ours = made[each.slot]
            if len(ours) <= each.index or not equal(ours[each.index], each.value):
                raise NotCacheable("a value becomes other parameters than those traced")
    if len(found) != len(binders):
        raise NotCacheable("a value decides the SQL")


def _all_equal(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(map(equal, a, b))


def equal(a: Any, b: Any) -> bool:
    """Return whether two parameters are the same to the server."""
    return type(a) is type(b) and (a == b or repr(a) == repr(b))
