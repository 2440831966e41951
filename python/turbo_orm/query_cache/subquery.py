"""``Subquery`` and ``Exists`` of a queryset with a chain: the expression holds the chain.

What makes them so, and makes the query where it is read, is in turbo_orm.patches.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Exists

#: The attribute of an expression that has its ``NestedChain`` in place of the ``query``.
CHAIN = "turbo_orm_chain"


class SubqueryTemplate:
    """The class and the attributes of an expression, without its query."""

    __slots__ = ("_class", "_state")

    def __init__(self, expression: Any) -> None:
        self._class = type(expression)
        self._state = dict(vars(expression))
        del self._state[CHAIN]

    def of_query(self, query: Any) -> Any:
        """Return such an expression of a query that is used for nothing else."""
        made = object.__new__(self._class)
        made.__dict__.update(self._state)
        made.__dict__["query"] = as_subquery(query, self._class)
        return made


def as_subquery(query: Any, expression_class: type) -> Any:
    """Do with a query what the expression does that is made of it."""
    query.subquery = True
    return query.exists() if issubclass(expression_class, Exists) else query
