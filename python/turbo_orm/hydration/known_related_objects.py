"""The objects that a related manager knows already, and sets on the instances that it fetches."""

from __future__ import annotations

import operator
from functools import lru_cache
from inspect import getattr_static
from typing import Any
from uuid import UUID

import django
from django.db import router
from django.db.models import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    CharField,
    ForeignKey,
    IntegerField,
    Model,
    OneToOneField,
    SlugField,
    SmallAutoField,
    TextField,
    UUIDField,
)
from django.db.models.fields.related_descriptors import (
    ForeignKeyDeferredAttribute,
    ForwardManyToOneDescriptor,
    ForwardOneToOneDescriptor,
    ManyToManyDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.db.models.query import ModelIterable
from django.db.models.query_utils import DeferredAttribute

from turbo_orm._core import Join, watch_class
from turbo_orm.bridge.replaced_methods import modifications, replaced

_FIELDS = {ForeignKey, OneToOneField}
_FORWARD = {ForwardManyToOneDescriptor, ForwardOneToOneDescriptor}
_DESCRIPTORS = (
    *_FORWARD,
    DeferredAttribute,
    ForeignKeyDeferredAttribute,
    ManyToManyDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
_ATTRIBUTES = {DeferredAttribute, ForeignKeyDeferredAttribute}
# Of keys that are read as they are, so those that are equal are the same.
_KEY_TYPES: dict[type, type] = {
    **dict.fromkeys((AutoField, BigAutoField, SmallAutoField, IntegerField, BigIntegerField), int),
    **dict.fromkeys((CharField, TextField, SlugField), str),
    UUIDField: UUID,
}
_MAX_JOINS = 1_000


class KnownRelatedObjects:
    """The objects to which a related manager sets a field of its instances, of a ``model``.

    ``objects`` has them by the value of their key, or a tuple of its values, which the instances
    hold in the attributes ``attnames``.
    """

    def __init__(
        self, model: type[Model], field: Any, objects: dict[Any, Any], attnames: list[str]
    ) -> None:
        self.field = field
        self.objects = objects
        self.attnames = attnames
        #: Whether to set one calls no code of a project's own, and fetches no deferred key, as
        #: Django does until 6.0.
        self.is_plain = (
            django.VERSION >= (6, 1)
            and not router.routers
            and descriptors_are_djangos()
            and (descriptor := _plain_descriptor(model, field)) is not None
            and getattr(model, field.name, None) is descriptor
        )

    def set_on(self, instances: list[Any]) -> None:
        if self.is_plain:
            self._set_on(instances)
            return
        key_of = operator.attrgetter(*self.attnames)
        for obj in instances:
            # What select_related() has loaded stays.
            if self.field.is_cached(obj):
                continue
            # Since 6.1, a deferred key is not fetched for this.
            if django.VERSION >= (6, 1) and any(
                attname not in obj.__dict__ for attname in self.attnames
            ):
                continue
            related = self.objects.get(key_of(obj))
            if related is not None:
                setattr(obj, self.field.name, related)

    def _set_on(self, instances: list[Any]) -> None:
        """Do the same as the descriptor of the field does, without a call for each instance."""
        field, objects, (attname,) = self.field, self.objects, self.attnames
        cache_name = field.cache_name
        (target,) = field.foreign_related_fields
        remote = field.remote_field
        kept = None if remote.multiple else remote.cache_name
        model = remote.model._meta.concrete_model
        for obj in instances:
            attributes = obj.__dict__
            fields_cache = obj._state.__dict__.setdefault("fields_cache", {})
            if cache_name in fields_cache:
                continue
            if attname not in attributes:
                continue
            related = objects.get(attributes[attname])
            if related is None:
                continue
            alias = related._state.db
            if (
                alias is None
                or alias != obj._state.db
                or target.attname not in related.__dict__
                or not isinstance(related, model)
            ):
                setattr(obj, field.name, related)
                continue
            attributes[attname] = related.__dict__[target.attname]
            fields_cache[cache_name] = related
            if kept is not None:
                related._state.fields_cache[kept] = obj


@lru_cache(maxsize=1_000)
def _plain_descriptor(model: Any, field: Any) -> Any:
    """Return a field's descriptor if it is Django's own, and nothing follows an assignment."""
    if type(field) not in _FIELDS or len(field.foreign_related_fields) != 1:
        return None
    (target,) = field.foreign_related_fields
    descriptor = getattr_static(model, field.name, None)
    is_plain = (
        type(descriptor) in _FORWARD
        and model.__setattr__ is Model.__setattr__
        and type(getattr_static(model, field.attname, None)) is ForeignKeyDeferredAttribute
        and type(getattr_static(field.remote_field.model, target.attname, None)) in _ATTRIBUTES
        and not (field.primary_key and field.remote_field.parent_link)
    )
    return descriptor if is_plain else None


class _Joins:
    """How the one object that a queryset knows is cached natively, by model and name of the field.

    What is found holds until a watched class is modified.
    """

    def __init__(self) -> None:
        self._modifications = -1
        self._found: dict[tuple[Any, str], tuple[Any, ...] | None] = {}

    def find(self, model: Any, field: Any) -> tuple[Any, ...] | None:
        """Return the field, the attribute of its target, the type of keys, and the model."""
        if self._modifications != modifications.count or len(self._found) > _MAX_JOINS:
            self._found.clear()
            self._modifications = modifications.count
        key = (model, field.name)
        if key not in self._found:
            self._found[key] = self._joined(model, field)
        found = self._found[key]
        return found if found is not None and found[0] is field else None

    def _joined(self, model: Any, field: Any) -> tuple[Any, ...] | None:
        if (
            django.VERSION < (6, 1)
            or not watch_class(model)
            or not descriptors_are_djangos()
            or (descriptor := _plain_descriptor(model, field)) is None
            or getattr(model, field.name, None) is not descriptor
            or not field.remote_field.multiple
        ):
            return None
        (target,) = field.foreign_related_fields
        key_type = _KEY_TYPES.get(type(target))
        related = field.remote_field.model._meta.concrete_model
        return None if key_type is None else (field, target.attname, key_type, related)


_joins = _Joins()


def known_join(queryset: Any, using: str) -> Join | None:
    """Return what has instances cache the one related object that their queryset knows.

    ``None`` where there is more to do, or none that is of the database ``using``.
    """
    known = queryset._known_related_objects
    if len(known) != 1 or router.routers:
        return None
    ((field, objects),) = known.items()
    found = _joins.find(queryset.model, field)
    if found is None or len(objects) != 1:
        return None
    _, target, key_type, model = found
    ((key, related),) = objects.items()
    if (
        type(key) is not key_type
        or related._state.db != using
        or not isinstance(related, model)
        or type(held := related.__dict__.get(target)) is not key_type
        or held != key
    ):
        return None
    return Join(field.attname, objects, field.cache_name, keeps=True, groups=False)


class _Watch:
    """Whether methods of Django's descriptors were replaced, by the modifications there were."""

    def __init__(self) -> None:
        self.modifications = -1
        self.are_djangos = False


_watch = _Watch()


def descriptors_are_djangos() -> bool:
    """Return whether no package has replaced a method of Django's descriptors of relations."""
    if _watch.modifications != modifications.count:
        _watch.are_djangos = not replaced(*_DESCRIPTORS)
        _watch.modifications = modifications.count
    return _watch.are_djangos


def known_related_objects(queryset: Any) -> list[KnownRelatedObjects]:
    """Return what is to be set on the instances of a queryset: nothing unless it yields some."""
    # A raw queryset has no iterable class.
    if getattr(queryset, "_iterable_class", None) is not ModelIterable:
        return []
    known = queryset._known_related_objects
    return [_known(queryset.model, field, known[field]) for field in known]


def _known(model: Any, field: Any, objects: dict[Any, Any]) -> KnownRelatedObjects:
    get_field = model._meta.get_field
    return KnownRelatedObjects(
        model,
        field,
        objects,
        [
            field.attname if name == "self" else get_field(name).attname
            for name in field.from_fields
        ],
    )
