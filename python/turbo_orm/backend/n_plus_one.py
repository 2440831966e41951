"""Warns of attributes that fetch again and again at a line: of N+1 queries.

Code on the bridge may touch what was not loaded, and waits for it. ``count_fetch()`` is called
where it asks for a cursor, or sends a statement without one. **lazy_access** recognises in the
frames of the call whether that is for an attribute of an instance. Each task counts for itself,
since a request is one.
"""

from __future__ import annotations

from asyncio import Task
from collections.abc import Iterator
from inspect import CO_COROUTINE
from logging import getLogger
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from django.db import models

from turbo_orm import bridge, conf
from turbo_orm.backend import lazy_access
from turbo_orm.backend.connection_state import current_task
from turbo_orm.backend.lazy_access import Access
from turbo_orm.bridge.user_code import is_library, place, qualified_name

# A place in the code or in a template, and the attribute that is touched there.
type Line = tuple[str, str]

_logger = getLogger("turbo_orm")

_PREFETCHING = {
    "django.db.models.query.prefetch_related_objects",
    "turbo_orm.orm.prefetch.prefetch",
}
_FETCH_MODE = "`.fetch_mode(models.FETCH_PEERS)`" if hasattr(models, "FETCH_PEERS") else ""
# How many lines are counted in a task, and logged in a process.
_MOST = 1000

#: Whether the settings were read, and switch it off. Read it as an attribute of this module.
is_off = False
# None until the settings are read.
_limit: int | None = None
_counts: WeakKeyDictionary[Task[Any], dict[Line, int]] = WeakKeyDictionary()
_logged: set[Line] = set()


def follow_setting(*, setting: str, **kwargs: Any) -> None:
    """Receive ``setting_changed``: have the settings read anew."""
    global is_off, _limit
    if setting in (conf.NAME, "DEBUG"):
        is_off, _limit = False, None


def count_fetch() -> None:
    """Count what the calling code fetches, if that is an attribute, and log where it is too much.

    It is logged once for each line and attribute in a process.
    """
    global is_off, _limit
    if _limit is None:
        _limit = conf.get("N_PLUS_ONE")
        is_off = not _limit
    task = current_task()
    if not _limit or task is None:
        return
    where, inside = _place()
    found = _attribute(inside)
    if found is None:
        return
    access, getter = found
    # In code of libraries alone, it is the line that touches the attribute.
    line = where or place(getter.f_back or getter), access.attribute
    counts = _counts.setdefault(task, {})
    if line in _logged or (line not in counts and len(counts) >= _MOST):
        return
    counts[line] = count = counts.get(line, 0) + 1
    if count >= _limit and len(_logged) < _MOST:
        _logged.add(line)
        _logger.warning(
            "%s has fetched %d times in one task, at %s: a query for each instance. Use %s in the "
            "query of the instances%s.",
            access.attribute,
            count,
            line[0],
            access.in_query,
            f", or {_FETCH_MODE}" if _FETCH_MODE and access.has_fetch_mode else "",
        )


def _place() -> tuple[str | None, list[FrameType]]:
    """Return the innermost place in the site's own code, or in a template, and what it has called.

    That begins with the outermost call.
    """
    inside: list[FrameType] = []
    where = None
    for frame in _calls():
        where = lazy_access.template_line(frame) or (None if is_library(frame) else place(frame))
        if where is not None:
            break
        inside.append(frame)
    return where, inside[::-1]


def _calls() -> Iterator[FrameType]:
    """Yield the frames of the code that asks for a cursor, up to the event loop's.

    This module's own would refer to themselves, and leave all that they see to the garbage
    collector.
    """
    for frame in bridge.frames():
        if frame.f_globals is globals():
            continue
        is_coroutine = frame.f_code.co_flags & CO_COROUTINE
        if not is_coroutine and qualified_name(frame).startswith("asyncio."):
            return
        yield frame


def _attribute(calls: list[FrameType]) -> tuple[Access, FrameType] | None:
    """Return the attribute that is fetched, and the outermost function that does it.

    Queries that prefetch are none for each instance, unless a fetch mode has them made.
    """
    found = None
    for frame in calls:
        if qualified_name(frame) in _PREFETCHING:
            return found if found is not None and found[0].has_fetch_mode else None
        if found is None:
            access = lazy_access.recognise(frame)
            found = (access, frame) if access is not None and access.attribute else None
    return found
