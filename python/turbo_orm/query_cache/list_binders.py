"""Lists in ``IN`` whose items are parameters as they are: bound without a lookup of Django's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turbo_orm.query_cache.compiled import Binder, IntegerBinder, Unbindable
from turbo_orm.query_cache.parameters import integer_type


class PlainListBinder:
    """Binds lists whose items are parameters as they are. Of equal ones, Django writes one."""

    __slots__ = ("slot",)
    is_of_list = True

    def __init__(self, slot: int) -> None:
        self.slot = slot

    def params(self, value: Any) -> Sequence[Any]:
        return [*dict.fromkeys(value)]


class IntegerListBinder(IntegerBinder):
    """Binds lists of integers from ``low`` to ``high``, in psycopg's type of the field's size."""

    __slots__ = ()
    is_of_list = True

    def params(self, value: Any) -> Sequence[Any]:
        if self._low <= min(value) and max(value) <= self._high:
            items = [*dict.fromkeys(value)]
            return items if self._wrapper is int else [*map(self._wrapper, items)]
        raise Unbindable


def list_binder(slot: int, field: Any, items: Sequence[Any], ops: Any) -> Binder:
    """Return what binds lists like this one, which a field's lookup takes item by item."""
    if type(items[0]) is not int:
        return PlainListBinder(slot)
    low, high = ops.integer_field_range(field.get_internal_type())
    return IntegerListBinder(slot, integer_type(field, ops), low, high)
