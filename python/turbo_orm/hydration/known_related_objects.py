"""The objects that a related manager knows already, and sets on the instances that it fetches."""

from __future__ import annotations

import operator
from functools import lru_cache
from inspect import getattr_static
from typing import Any

import django
from django.db import router
from django.db.models import ForeignKey, Model, OneToOneField
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
