"""Compares cached statements with those that Django would execute.

With ``TURBO_ORM_VERIFY=1`` in the environment each hit is verified, and a mismatch is raised: for
tests. In production ``TURBO_ORM["QUERY_CACHE_VERIFY"]`` has one hit in so many verified. There a
mismatch is logged as an error, the statement is dropped, and Django answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from itertools import count
from typing import Any

from turbo_orm import conf
from turbo_orm.query_cache.bound import BoundStatement
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cache_entry import CacheEntry
from turbo_orm.query_cache.parameters import without_warnings
from turbo_orm.query_cache.tracing import Terminal, equal, record

logger = logging.getLogger("turbo_orm")

MISMATCH = "Django would execute another statement than the cached one, which is a defect"

#: One hit in so many is verified, none if it is 0.
interval = 1 if conf.VERIFIES else 0
_hits = count(1)


class CacheMismatch(AssertionError):
    """A cached statement is not the one that Django would execute."""


def configure() -> None:
    """Take over the settings."""
    global interval
    interval = 1 if conf.VERIFIES else conf.get("QUERY_CACHE_VERIFY")


def follow_setting(*, setting: str, **kwargs: Any) -> None:
    """Take over the settings when they change."""
    if setting == conf.NAME:
        configure()


def agrees(label: str, compare: Callable[[], None], drop: Callable[[], None]) -> bool:
    """Return whether a hit may be used: if it is not its turn to be verified, or is found equal.

    ``compare`` raises ``CacheMismatch``, which is raised where each hit is verified. Otherwise it
    is logged, without the parameters, and ``drop`` drops the statement.
    """
    if conf.VERIFIES:
        compare()
        return True
    if next(_hits) % interval:
        return True
    try:
        compare()
    except Exception as exc:
        logger.error(
            "A cached statement of %s is not the one that Django would execute. It was dropped, "
            "and Django answers. This is a defect of turbo-orm: please report it. %s",
            label,
            exc if isinstance(exc, CacheMismatch) else repr(type(exc)),
        )
        drop()
        return False
    return True


def agrees_with_terminal(
    entry: CacheEntry,
    key: Hashable,
    ask: Terminal,
    bound: BoundStatement,
    twin: Callable[[], Any],
    written: Sequence[Any] = (),
) -> bool:
    """Do what ``agrees()`` does with the statement of a terminal.

    ``twin`` returns the same queryset of Django's making.
    """

    def compare_terminal() -> None:
        with without_warnings():
            queryset = twin()
            queryset._db = bound.statement.using
            recorder = record(bound.statement.using, ask, queryset, *written)
        compare(bound, recorder.recorded, equal)

    label = entry.model._meta.label  # type: ignore[attr-defined]
    return agrees(label, compare_terminal, lambda: cache.drop(entry, key))


def compare(
    bound: BoundStatement, recorded: Sequence[tuple[str, Any]], is_same: Callable[[Any, Any], bool]
) -> None:
    """Raise ``CacheMismatch`` unless what Django would execute is a bound statement.

    ``is_same`` compares two parameters: ours, and Django's.
    """
    statements = [sql for sql, _ in recorded]
    if statements == [bound.sql]:
        params = recorded[0][1] or ()
        if len(params) == len(bound.params) and all(map(is_same, bound.params, params)):
            return
    cached = (bound.sql, list(bound.params)) if conf.VERIFIES else bound.sql
    django = recorded if conf.VERIFIES else statements
    raise CacheMismatch(f"{cached} was cached, where Django executes {django}")
