"""Tells whether a statement is known for a queryset, and if none is, why.

What is told is looked up where the terminals look it up: in **query_cache**.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import QuerySet
from django.db.models.signals import post_delete, post_init, pre_delete, pre_init
from django.utils.timezone import get_current_timezone_name

from turbo_orm.execution.fetching import SLICE
from turbo_orm.orm.queryset import AsyncQuerySet
from turbo_orm.query_cache.cache import shapes
from turbo_orm.query_cache.compiled import Statement, Unbindable

# What statements of terminals are known by.
_NAMES = {
    "acount": "count",
    "adelete": "delete",
    "aexists": "exists",
    "afirst": "first",
    "aget": "get",
    "alast": "last",
    "alist": "_fetch_all",
}
# Those that ask the server, though the results are there.
_ASKING = {"adelete", "aget"}


@dataclass(frozen=True)
class ShapeExplanation:
    """Whether a terminal of a queryset has a statement that is known. Print it.

    A "hit" has one, and neither Django's query nor its compiler is needed. A "miss" may have one
    from the next time on. A "bypass" is Django's each time, for the ``reason``.
    """

    label: str
    terminal: str
    outcome: Literal["hit", "miss", "bypass"]
    reason: str = ""
    sql: str = ""

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        reason = f", since {self.reason}" if self.reason else ""
        yield f"{self.label}: {self.terminal}() is a {self.outcome}{reason}"
        if self.sql:
            yield f"  {self.sql}"


def explain_shape(queryset: QuerySet[Any, Any], terminal: str = "alist") -> ShapeExplanation:
    """Tell whether a statement is known for a terminal of a queryset, and if none is, why.

    No query is executed, nothing is learnt, and the queryset stays as it is. The routers are asked
    for its database. For ``aget(…)``, ask about ``filter(…)`` and ``"aget"``.

    Raises ``TypeError`` for anything but a queryset of an ``AsyncManager``, and ``ValueError`` for
    a terminal whose statements are not kept, or depend on more than the queryset.
    """
    if not isinstance(queryset, AsyncQuerySet):
        raise TypeError(
            "explain_shape() takes a queryset of an AsyncManager, not "
            f"{type(queryset).__qualname__}."
        )
    if terminal not in _NAMES:
        raise ValueError(f"explain_shape() tells of {', '.join(_NAMES)}, not of {terminal!r}.")
    outcome, reason, sql = _explained(queryset, terminal)
    return ShapeExplanation(queryset.model._meta.label, terminal, outcome, reason, sql)


def _explained(
    queryset: AsyncQuerySet[Any, Any], terminal: str
) -> tuple[Literal["hit", "miss", "bypass"], str, str]:
    if reason := _reason_to_bypass(queryset, terminal):
        return "bypass", reason, ""
    if (pre_init.receivers, post_init.receivers) != shapes.receivers:
        shapes.forget_receivers()
    asked = queryset.all()
    asked._for_write = asked._for_write or terminal == "adelete"
    key = (_NAMES[terminal], asked.db, asked._fetch_mode)
    statement = queryset._shape.statements.get(key)  # type: ignore[union-attr]
    if isinstance(statement, str):
        return "bypass", statement, ""
    if type(statement) is not Statement:
        tried = " from values with which there is one" if statement else ""
        return "miss", f"nothing has been learnt{tried}", ""
    if statement.zone not in (None, get_current_timezone_name()):
        return "miss", f"what has been learnt is for the time zone {statement.zone}", ""
    try:
        bound = statement.bind(queryset._given)
    except Unbindable:
        return "bypass", "one of the values has Django write another statement", ""
    if terminal == "alist" and bound.rows > SLICE:
        return "bypass", f"more than {SLICE} rows may come, and are read as they arrive", ""
    return "hit", "", bound.sql


def _reason_to_bypass(queryset: AsyncQuerySet[Any, Any], terminal: str) -> str:
    """Say what keeps a queryset from being told by its shape. Empty if nothing does."""
    name = type(queryset).__qualname__
    if queryset._overridden:
        return f"{name} overrides {', '.join(sorted(queryset._overridden))}"
    if queryset._result_cache is not None and terminal not in _ASKING:
        return "the results are there already"
    shape = queryset._shape
    if shape is None:
        return queryset._left_for or "it was made of a query"
    if queryset._iterable_class is not shape.iterable_class:
        return f"its iterable class is {queryset._iterable_class.__qualname__}"
    method = _NAMES[terminal]
    if terminal != "alist" and method not in queryset._djangos_terminals:
        return f"{name} overrides {method}"
    if terminal == "adelete" and (
        pre_delete.has_listeners(queryset.model) or post_delete.has_listeners(queryset.model)
    ):
        return "somebody receives pre_delete or post_delete"
    return ""
