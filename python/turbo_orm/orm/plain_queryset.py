"""The queryset of Django's plain managers, where all of them use the query cache.

It passes for a ``QuerySet`` of Django's: that is what it says that its class is, what ``repr()``
shows, and what its pickles and copies are. Only ``type()`` tells.
"""

from __future__ import annotations

from copyreg import __newobj__  # type: ignore[attr-defined]
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from turbo_orm.orm.cached_queryset import DEFAULTS, CachedQuerySet
from turbo_orm.orm.queryset import AsyncQuerySet

_CLASS: Any = vars(CachedQuerySet)["__class__"]
# What Django's querysets do not have.
_OWN = {"_bypass_reason", "_compiled_for", "_routed"}


class PlainQuerySet(AsyncQuerySet[Any, Any]):
    """A queryset of a manager whose queryset class is Django's own."""

    if not TYPE_CHECKING:
        __class__ = _CLASS.getter(lambda self: QuerySet)

        @wraps(AsyncQuerySet.raw)
        def raw(self, *args: Any, **kwargs: Any) -> Any:
            # A raw queryset shows its class, too.
            return QuerySet.raw(self, *args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> Any:
        state = {**DEFAULTS, **self.__getstate__()}
        return (
            __newobj__,
            (QuerySet,),
            {name: value for name, value in state.items() if name not in _OWN},
        )
