"""Learns statements from Django: runs its own methods over a query whose values are marked.

Django builds and compiles the query as ever, but its lookups know which of the given values they
are made of, and mark the parameters that they give. The connection notes what would be executed
(**recording_connection**). The same is done once more with nothing marked: a statement is
learnt only if both agree, and if what makes parameters of the values makes the same ones.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import EmptyResultSet, FullResultSet, ObjectDoesNotExist
from django.db import connections
from django.db.models.sql import Query
from django.utils import timezone

from turbo_orm import bridge
from turbo_orm.backend.handler import process_connection
from turbo_orm.query_cache.cache import Shape, shapes
from turbo_orm.query_cache.compiled import (
    Bound,
    Integer,
    Part,
    Prepared,
    Statement,
    Unbindable,
    Unchanged,
)
from turbo_orm.query_cache.limit_offset import Bounds, far, limits
from turbo_orm.query_cache.parameters import (
    LOOKED_UP,
    integer_type,
    plain_field,
    plain_values,
    quietly,
)
from turbo_orm.query_cache.recording_connection import AskedOnce, RecordingConnection
from turbo_orm.query_cache.tracers import LearningQuery, Marked, Parameter, Unlearnable, marks

type Terminal = Callable[..., Any]


# Each statement that is known is written by Django, too, and compared.
VERIFIES = os.environ.get("TURBO_ORM_VERIFY") == "1"

# How often it is tried to learn a statement from values with which there is none.
TRIES = 5


class _Refused(Exception):
    """Django raises, with the values that there are."""


def learn(
    shape: Shape,
    key: Hashable,
    ask: Terminal,
    given: Sequence[Any],
    fresh: Fresh,
    using: str,
    written: Sequence[Written] = (),
    of_objects: bool = True,
) -> None:
    """Learn the statement of a terminal, or why there is none. To be called on the bridge.

    ``ask`` is Django's method, called with a queryset and the values to be ``written``. ``fresh``
    makes a queryset over a query, on the database ``using``. ``of_objects`` says whether objects
    are made of what is found, as a queryset makes them.
    """
    if "pg_version" not in vars(process_connection(using)):
        if connections[using].connection is None:
            # Django had no use for it.
            return
        # Compiling may ask for it, and nothing can be waited for then.
        _ = process_connection(using).pg_version
    try:
        with quietly():
            statement = _learn(shape, ask, given, fresh, using, written, of_objects)
    except Unlearnable as exc:
        shapes.learnt(shape, key, str(exc))
    except _Refused as exc:
        # Django will refuse when it is asked next. Other values may be learnt from.
        tried = shape.statements.get(key, 0)
        may_be_learnt = given or written or isinstance(exc.__cause__, AskedOnce)
        if isinstance(tried, Statement):
            # That of another time zone, which stays.
            pass
        elif tried == TRIES or not may_be_learnt:
            shapes.learnt(shape, key, _refusal(exc.__cause__))
        else:
            shape.statements[key] = tried + 1
    except Exception as exc:
        if VERIFIES:
            raise
        # Whoever asks is to have an answer: Django's.
        shapes.learnt(shape, key, f"learning raises {type(exc).__qualname__}")
    else:
        shapes.learnt(shape, key, statement)


def _refusal(cause: BaseException | None) -> str:
    """Say what Django does, and nothing of the values."""
    match cause:
        case None:
            return "Django executes nothing"
        case AskedOnce():
            return "several statements are executed, not one"
    return f"Django raises {type(cause).__qualname__}"


def _learn(
    shape: Shape,
    ask: Terminal,
    given: Sequence[Any],
    fresh: Fresh,
    using: str,
    written: Sequence[Written],
    of_objects: bool,
) -> Statement:
    if getattr(getattr(fresh(Query(shape.model)), "_fetch_mode", None), "track_peers", False):
        raise Unlearnable("peers are those of one result")
    values = plain_values(given)
    marked = marks(values)
    queryset = shape.take(fresh(LearningQuery(shape.model)), marked)
    try:
        writes = [_MarkedWrite(each) for each in written]
    except Exception as exc:
        raise _Refused from exc
    recorder = _record(using, ask, queryset, *writes)
    sql, params = only_statement(recorder)
    if (recorder.layout is not None) != of_objects:
        raise Unlearnable("what is found decides what Django does next")

    def again(values: Sequence[Any] = values) -> tuple[str, Sequence[Any]]:
        queryset = shape.take(fresh(Query(shape.model)), values)
        return only_statement(_record(using, ask, queryset, *[each.value for each in written]))

    zone = None
    with timezone.override(_ANOTHER_ZONE) if settings.USE_TZ else nullcontext():
        unmarked = again()
    if not _agree((sql, params), unmarked):
        zone = timezone.get_current_timezone_name()
        if not _agree((sql, params), again()):
            raise Unlearnable("Django writes other SQL each time")
    bounds = None
    if values and type(values[-1]) is slice:
        bounds = _bounds(sql, params, values, again)
        marked.pop()
    parts = [
        *[_part(each, recorder, prepared) for each, prepared in zip(marked, given, strict=False)],
        *[each.part for each in written],
    ]
    places = [(each.slot, each.index) if type(each) is Parameter else (each,) for each in params]
    _check(parts, [*given, *[each.value for each in written]], params)
    if bounds is not None:
        sql = bounds.template
    return Statement(using, sql, parts, places, recorder.layout, zone, bounds)


def _bounds(
    sql: str,
    params: Sequence[Any],
    values: Sequence[Any],
    again: Callable[[Sequence[Any]], tuple[str, Sequence[Any]]],
) -> Bounds:
    """Return where the SQL has the bounds of a slice, which is the last of the values."""
    *others, given = values
    before, found, after = sql.partition(limits(given))
    bounds = Bounds(before, given, after)
    another = far(given)
    # Where Django fetches no more than so many, another slice shows it.
    if not found or not _agree((bounds.sql(another), params), again([*others, another])):
        raise Unlearnable("the bounds of the slice decide the SQL")
    return bounds


class Written(NamedTuple):
    """A value that is written to a field, and what makes a parameter of it."""

    part: Part
    value: Any


class _MarkedWrite:
    """An expression that stands for a value to be written."""

    contains_aggregate = False
    contains_over_clause = False

    def __init__(self, written: Written) -> None:
        (self._param,) = written.part.params(written.value)
        self._slot = written.part.slot

    def resolve_expression(self, *args: Any, **kwargs: Any) -> Any:
        return self

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return "%s", [Parameter(self._slot, 0, self._param)]


class Misunderstanding(AssertionError):
    """A statement that was learnt is not what Django would execute."""


def verify(ask: Terminal, bound: Bound, queryset: Any, written: Sequence[Any] = ()) -> None:
    """Raise ``Misunderstanding`` if Django would execute something else than a known statement.

    ``queryset`` is one of Django's making.
    """
    with quietly():
        queryset._db = bound.statement.using
        recorded = _record(bound.statement.using, ask, queryset, *written).recorded
    ours = (bound.sql, list(bound.params))
    if [sql for sql, _ in recorded] != [bound.sql] or not _all_equal(
        bound.params, recorded[0][1] or ()
    ):
        raise Misunderstanding(f"{ours} was learnt, where Django executes {recorded}")


type Fresh = Callable[[Query], Any]

# One in which SQL that names a time zone is another. Nobody else is there.
_ANOTHER_ZONE = datetime.timezone(datetime.timedelta(hours=11, minutes=37))


def _record(using: str, ask: Terminal, *args: Any) -> RecordingConnection:
    # Django remembers what it is told of content types while it compiles, and makes what it does
    # not find. It is refused, asks a real connection next, and knows when it is tried again.
    recorder = RecordingConnection.for_alias(using, once=True)
    try:
        bridge.with_stand_in(using, recorder, ask, *args)
    except ObjectDoesNotExist:
        pass
    except Unlearnable:
        raise
    except Exception as exc:
        raise _Refused from exc
    return recorder


def only_statement(recorder: RecordingConnection) -> tuple[str, Sequence[Any]]:
    if not recorder.recorded:
        # Nothing can match, be it for the values or for what they are compared with.
        raise _Refused
    sql, params = recorder.recorded[0]
    return sql, params or ()


def _agree(marked: tuple[str, Sequence[Any]], plain: tuple[str, Sequence[Any]]) -> bool:
    """Return whether what was recorded is the same but for the marks."""
    params = [each.value if type(each) is Parameter else each for each in marked[1]]
    return marked[0] == plain[0] and _all_equal(params, plain[1])


def _part(marked: Marked, recorder: RecordingConnection, given: Any) -> Part:
    """Return what makes parameters of a value."""
    (lookup,) = marked.lookups
    if type(given) in LOOKED_UP:
        try:
            return Prepared(marked.slot, given.lookup, _bare_compiler(recorder.alias))
        except (EmptyResultSet, FullResultSet):
            raise Unlearnable("a value decides the SQL") from None
    field = plain_field(lookup, marked.value)
    if type(marked.value) is not int:
        return Unchanged(marked.slot)
    internal_type = field.get_internal_type()
    low, high = recorder.ops.integer_field_range(internal_type)
    return Integer(marked.slot, integer_type(field, recorder.ops), low, high)


@lru_cache(maxsize=100)
def _bare_compiler(using: str) -> Any:
    """Return a compiler of no query, for lookups: what they are of, they know."""
    connection = process_connection(using)
    return connection.ops.compiler("SQLCompiler")(Query(None), connection, using)


def _check(parts: Sequence[Part], given: Sequence[Any], params: Sequence[Any]) -> None:
    """Raise ``Unlearnable`` if the parts do not make the parameters that Django has made."""
    try:
        made = [part.params(given[part.slot]) for part in parts]
    except Unbindable:
        raise Unlearnable("a value decides the SQL") from None
    found: set[int] = set()
    for each in params:
        if type(each) is Parameter:
            found.add(each.slot)
            ours = made[each.slot]
            if len(ours) <= each.index or not equal(ours[each.index], each.value):
                raise Unlearnable("a value becomes other parameters than are known")
    if len(found) != len(parts):
        raise Unlearnable("a value decides the SQL")


def _all_equal(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(map(equal, a, b))


def equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b or repr(a) == repr(b))
