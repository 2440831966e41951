"""Statements of ``raw()``: a text of the caller's, with what its columns become.

Django compiles nothing of it, but looks at the result's columns each time. An entry stands for a
text with its translations; its statement has the layout of the rows that came last, which serves
as long as the columns have the same names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models.query import RawQuerySet
from django.db.models.signals import post_init, pre_init
from django.db.models.sql import RawQuery

from turbo_orm.backend.handler import process_connection
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.query_cache.bound import BoundStatement
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cache_entry import CacheEntry
from turbo_orm.query_cache.compiled import CompiledStatement, PlainBinder
from turbo_orm.query_cache.tracers import NotCacheable

# As psycopg finds them.
_PLACEHOLDER = re.compile(r"%(?:(%)|(?:\(([^)]+)\))?(.))", re.DOTALL)
# What gives rows, whatever the values are. Others Django executes.
_SELECT = re.compile(r"\s*(?:SELECT|WITH)\s", re.IGNORECASE)
# Values of which Django's adapt_unknown_value() makes no others.
_UNADAPTED = {type(None), bool, int, float, str, bytes, UUID, list, tuple, dict}


def _methods() -> tuple[Any, ...]:
    """Return the methods of Django's that execute a raw query."""
    # The stubs leave some out.
    query: Any = RawQuery
    queryset: Any = RawQuerySet
    return query._execute_query, query.get_columns, query.__iter__, queryset._fetch_all


_DJANGOS = _methods() if all(map(is_own, _methods())) else ()


class RawStatement(CompiledStatement):
    """A text whose placeholders were found, and the names of the columns of its layout."""

    __slots__ = ("names", "order", "text")

    def __init__(self, using: str, text: str, params_class: type) -> None:
        sql, order = _positional(text, params_class)
        binders = [PlainBinder(slot) for slot in range(len(order))]
        super().__init__(using, sql, binders, [(slot, 0) for slot in range(len(order))])
        #: As it is executed, and the keys of its parameters in their order.
        self.text = text
        self.order = order
        #: The names of the columns, in the encoding of the connection.
        self.names: list[bytes] | None = None

    @property
    def size(self) -> int:
        """Its size in bytes, by estimate."""
        # The layout comes later, and may have another number of columns each time.
        return 13_000 + 5 * len(self.text) + 500 * len(self.order)


class BoundRawStatement(BoundStatement):
    """A text with its parameters, as Django's cursor takes them: a tuple, a dict, or ``None``."""

    __slots__ = ("_in_order",)

    def __init__(self, statement: RawStatement, params: Any, values: tuple[Any, ...]) -> None:
        super().__init__(statement, params)
        self._in_order = values

    @property
    def sql(self) -> str:
        return self.statement.text  # type: ignore[attr-defined, no-any-return]

    values = property(attrgetter("_in_order"))


class RawLookup(NamedTuple):
    """The entry of a text, or the key that it will have, and the statement if there is one."""

    root: CacheEntry
    key: tuple[Any, ...]
    entry: CacheEntry | None


def lookup(queryset: Any) -> RawLookup | None:
    """Look up the text of a raw queryset. Return ``None`` where Django has to execute it."""
    query = queryset.query
    params_class = type(query.params)
    text, translations = query.sql, queryset.translations
    if (
        not (cache.is_enabled or cache.is_enabled_again())
        or type(query) is not RawQuery
        or type(text) is not str
        or type(translations) is not dict
        or params_class not in (tuple, list, dict, type(None))
        or _methods() != _DJANGOS
    ):
        return None
    if (pre_init.receivers, post_init.receivers) != cache.receivers:
        cache.follow_receivers()
    kind = tuple if params_class is list else params_class
    root = cache.model(queryset.model)
    key = ("raw", text, query.using, kind, *translations.items())
    return RawLookup(root, key, root.children.get(key))


def statement_of(found: RawLookup) -> RawStatement | None:
    """Return the statement of a text that Django has executed before, if it has one."""
    entry = found.entry
    if entry is None:
        cache.statistics.misses += 1
        return None
    if entry.refusal:
        cache.statistics.count_bypass(entry.refusal)
        return None
    entry.uses += 1
    return entry.statements.get("raw")  # type: ignore[return-value]


def record(found: RawLookup) -> None:
    """Have a statement for a text that Django has executed, at its second sight."""
    root, key, entry = found
    if entry is not None or not cache.is_seen(root, key):
        return
    _, text, using, params_class, *_ = key
    ops: Any = process_connection(using).ops
    try:
        if not _SELECT.match(text) or ";" in text:
            raise NotCacheable(
                "raw() is given what may be another statement than one that gives rows"
            )
        if not is_own(type(ops).adapt_unknown_value):
            raise NotCacheable("raw() is given values that the engine adapts")
        statement = RawStatement(using, text, params_class)
    except NotCacheable as exc:
        cache.refuse_step(root, key, str(exc))
        return
    entry = cache.add(root, key, None, root.iterable_class, None)
    cache.store(entry, "raw", statement)


def bind(statement: RawStatement, params: Any) -> BoundRawStatement | None:
    """Bind the parameters that a raw queryset was given. ``None`` if psycopg would refuse them."""
    bound = _bound(statement, params)
    if bound is None:
        why = "raw() is given other parameters than its text has"
        cache.statistics.count_bypass(why)
    else:
        cache.statistics.hits += 1
    return bound


def _bound(statement: RawStatement, params: Any) -> BoundRawStatement | None:
    if params is None:
        return BoundRawStatement(statement, None, ())
    adapt: Any = None
    given = params.values() if type(params) is dict else params
    if not {*map(type, given)} <= _UNADAPTED:
        adapt = process_connection(statement.using).ops.adapt_unknown_value
    if type(params) is dict:
        adapted = params if adapt is None else {key: adapt(params[key]) for key in params}
        if not adapted.keys() >= {*statement.order}:
            return None
        values = tuple([adapted[name] for name in statement.order])
        return BoundRawStatement(statement, adapted, values)
    values = tuple(params if adapt is None else map(adapt, params))
    return (
        BoundRawStatement(statement, values, values)
        if len(values) == len(statement.order)
        else None
    )


def _positional(text: str, params_class: type) -> tuple[str, Sequence[Any]]:
    """Return a text with ``%s`` for each parameter, and their keys in their order.

    Raises ``NotCacheable`` for a placeholder of another kind.
    """
    if params_class is type(None):
        return text.replace("%", "%%"), ()
    order: list[Any] = []

    def placeholder(match: re.Match[str]) -> str:
        percent, name, kind = match.groups()
        if percent:
            return "%%"
        if kind != "s" or (name is None) is (params_class is dict):
            raise NotCacheable("raw() is given a placeholder of another kind")
        order.append(len(order) if name is None else name)
        return "%s"

    sql = _PLACEHOLDER.sub(placeholder, text)
    if sql.replace("%%", "").count("%") != len(order):
        raise NotCacheable("raw() is given a lone percent sign")
    return sql, order
