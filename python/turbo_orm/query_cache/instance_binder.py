"""Instances that are compared with a foreign key: bound by their key, not by Django's lookup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import ForeignKey, Model, OneToOneField
from django.db.models.expressions import Col
from django.db.models.fields.related_lookups import RelatedExact

from turbo_orm.query_cache.compiled import LookupBinder
from turbo_orm.query_cache.parameters import integer_type, plain_target
from turbo_orm.query_cache.prepared_values import DeferredValue


class InstanceBinder(LookupBinder):
    """Binds instances by the key that they have when the query is executed.

    An integer that the field can hold is bound in psycopg's type of the field's size. Any other is
    Django's lookup's.
    """

    __slots__ = ("_attname", "_high", "_key", "_low", "_wrapper")

    def __init__(self, binder: LookupBinder, key: Any, ops: Any) -> None:
        self.slot = binder.slot
        self._compiler, self._sql = binder._compiler, binder._sql
        self._key = key
        self._attname = key.attname
        self._wrapper = integer_type(key, ops)
        self._low, self._high = ops.integer_field_range(key.get_internal_type())

    def params(self, value: Any) -> Sequence[Any]:
        instance = value.value
        if instance._meta.pk is self._key:
            key = instance.__dict__.get(self._attname)
            if type(key) is int and self._low <= key <= self._high:
                return (self._wrapper(key),)
        return super().params(value)


def instance_binder(binder: LookupBinder, lookup: Any, value: Any, ops: Any) -> LookupBinder:
    """Return what binds instances by their keys, or the binder of the lookup where it has to."""
    if (
        type(value) is not DeferredValue
        or not isinstance(value.value, Model)
        or type(lookup) is not RelatedExact
        or type(lookup.lhs) is not Col
        or type(lookup.lhs.output_field) not in (ForeignKey, OneToOneField)
    ):
        return binder
    field: Any = lookup.lhs.output_field
    key = plain_target(field, int)
    if key is None or not key.primary_key or field.foreign_related_fields != (key,):
        return binder
    return InstanceBinder(binder, key, ops)
