"""Which instances have a primary key, found without Django's methods where a model inherits them.

For bulk inserts and updates (turbo_orm.orm).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db.models import CompositePrimaryKey, Field, Model
from django.db.models.expressions import DatabaseDefault

# What Django calls on an instance for its key before it saves it.
_METHODS = ("_get_pk_val", "_is_pk_set", "_prepare_related_fields_for_save", "_set_pk_val", "pk")


@lru_cache(maxsize=1000)
def has_plain_key(model: type[Model]) -> bool:
    """Return whether a model's key is what one attribute holds, without a default."""
    key: Any = model._meta.pk
    return (
        not isinstance(key, CompositePrimaryKey)
        and all(getattr(model, name) is getattr(Model, name) for name in _METHODS)
        and not key.has_default()
        and type(key).get_pk_value_on_save is Field.get_pk_value_on_save
    )


def partition(model: type[Model], objs: Sequence[Any]) -> tuple[list[Any], list[Any]] | None:
    """Return the instances with a key and those without, or ``None`` where Django has to do it.

    Django prepares the related objects of each, of which most have none, and asks for a default
    key, of which most models have none.
    """
    if {*map(type, objs)} != {model} or not has_plain_key(model):
        return None
    attname = model._meta.pk.attname
    with_key: list[Any] = []
    without_key: list[Any] = []
    for obj in objs:
        if obj._state.__dict__.get("fields_cache"):
            obj._prepare_related_fields_for_save(operation_name="bulk_create")
        key = getattr(obj, attname)
        is_set = key is not None and not isinstance(key, DatabaseDefault)
        (with_key if is_set else without_key).append(obj)
    return with_key, without_key
