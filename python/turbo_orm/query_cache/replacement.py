"""What takes the place of the values of a call, and of the querysets that are its arguments."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import BaseExpression

from turbo_orm.query_cache.cached_chain import NestedChain
from turbo_orm.query_cache.subquery import CHAIN, SubqueryTemplate


class Replacement:
    """Returns what takes the place of a value, or of a queryset or subquery.

    That is its ``NestedChain`` with the values replaced, or what ``build`` makes of it.
    """

    def __init__(
        self, value: Callable[[Any], Any], build: Callable[[NestedChain], Any] | None
    ) -> None:
        self._value = value
        self._build = build

    def __call__(self, value: Any) -> Any:
        return self._value(value)

    def nested(self, value: Any) -> Any:
        """Return what takes the place of a queryset or a subquery, ``None`` for anything else."""
        if type(value) is NestedChain:
            chain = value
        elif issubclass(type(value), QuerySet):
            chain = NestedChain.of(value)
        elif isinstance(value, BaseExpression) and CHAIN in vars(value):
            chain = copy(vars(value)[CHAIN])
            chain.expression = SubqueryTemplate(value)
        else:
            return None
        renewed = chain.renewed(self._value)
        return renewed if self._build is None else self._build(renewed)
