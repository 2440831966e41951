"""Relations of Django's own that are prefetched by cached statements, and what there is to know.

A relation of any other kind has none: of several columns, to or from a parent's table, by fields,
descriptors or managers of a project's own. Django prefetches it.
"""

from __future__ import annotations

from inspect import getattr_static
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS
from django.db.models import ForeignKey, Manager, OneToOneField
from django.db.models.fields.related_descriptors import (
    ForeignKeyDeferredAttribute,
    ForwardManyToOneDescriptor,
    ForwardOneToOneDescriptor,
    ManyToManyDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.db.models.query_utils import DeferredAttribute

from turbo_orm.backend.handler import process_connection
from turbo_orm.hydration.known_related_objects import descriptors_are_djangos
from turbo_orm.orm.cached_queryset import CachedQuerySet
from turbo_orm.orm.plain_managers import has_plain_class
from turbo_orm.query_cache import cache_key
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.parameters import plain_target
from turbo_orm.query_cache.prefetch_filters import (
    FORWARD,
    MANY_TO_MANY,
    REVERSE_MANY,
    REVERSE_ONE,
)

_FOREIGN_KEYS = {ForeignKey, OneToOneField}
_PLAIN_ATTRIBUTES = {DeferredAttribute, ForeignKeyDeferredAttribute}
# The types of keys, with a value.
_KEYS = {int: 0, str: "", UUID: UUID(int=0)}


class Relation(NamedTuple):
    """A relation of one column, by an attribute of a model's."""

    kind: str
    descriptor: Any
    #: That of the related objects, and the class of their querysets: none of a base manager's.
    model: Any
    queryset_class: type[CachedQuerySet[Any, Any]] | None
    #: The lookup of the related objects, and what is selected with them.
    lookup: str
    select: tuple[str, ...]
    #: The type of the keys, and the attributes that hold them: of the instances, and of the
    #: related objects.
    key_type: type
    attname: str
    related_attname: str
    #: Where the instances keep the related objects, and where these keep an instance, if they do.
    cache_name: str
    related_cache_name: str | None

    #: The key of the step to the related objects.
    step_key: tuple[Any, ...] = ()
    #: The key of the step by which the manager of a many-to-many relation filters.
    manager_step_key: tuple[Any, ...] = ()

    @property
    def is_single(self) -> bool:
        """Whether an instance has one related object, at most."""
        return self.kind in (FORWARD, REVERSE_ONE)


def relation_of(instance: Any, name: str) -> Relation | None:
    """Return the relation of an instance by the name of its attribute, if it is such a one."""
    model: Any = type(instance)
    descriptor: Any = getattr(model, name, None)
    relations = cache.model(model).relations
    made, relation = relations.get(name, (None, None))
    if made is not descriptor:
        relation = _relation(instance, descriptor)
        relations[name] = descriptor, relation
    if relation is None or not descriptors_are_djangos():
        return None
    is_plain = relation.is_single or has_plain_class(descriptor.related_manager_cls)
    return relation if is_plain else None


def _relation(instance: Any, descriptor: Any) -> Relation | None:
    kind = type(descriptor)
    if kind in (ForwardManyToOneDescriptor, ForwardOneToOneDescriptor):
        made = _forward(descriptor)
    elif kind is ReverseOneToOneDescriptor:
        made = _reverse_one(descriptor)
    elif kind is ReverseManyToOneDescriptor:
        made = _reverse_many(descriptor)
    elif kind is ManyToManyDescriptor:
        made = _many_to_many(descriptor, instance)
    else:
        return None
    meta = type(instance)._meta
    if (
        made is None
        # Django refuses an instance that has no key, whatever the relation is by.
        or (made.kind != FORWARD and made.attname != meta.pk.attname)
    ):
        return None
    is_plain = _has_plain(type(instance), made.attname) and (
        bool(made.select) or _has_plain(made.model, made.related_attname)
    )
    if not is_plain or hasattr(type(instance), "__getattr__"):
        return None
    # Of a list of values of one type, any gives the key.
    listed = {made.lookup: [_KEYS[made.key_type]]}
    key, _ = cache_key.of_lookups((made.kind, *made.select), listed)
    made = made._replace(step_key=("_filter_prefetch", key, False))
    if made.kind != MANY_TO_MANY:
        return made
    name = f"{made.lookup.removesuffix('in')}{made.attname}"
    key, _ = cache_key.of_lookups((), {name: _KEYS[made.key_type]})
    return made._replace(manager_step_key=("filter", key, True))


def _has_plain(model: Any, attname: str) -> bool:
    """Return whether a model keeps a column of its own table in its instances' ``__dict__``."""
    return type(getattr_static(model, attname, None)) in _PLAIN_ATTRIBUTES and any(
        field.attname == attname for field in model._meta.concrete_model._meta.local_fields
    )


def _key_type(field: Any) -> type | None:
    """Return the type of a foreign key's values, if they are compared with as they are."""
    if type(field) not in _FOREIGN_KEYS or len(field.foreign_related_fields) != 1:
        return None
    return next((kind for kind in _KEYS if plain_target(field, kind) is not None), None)


def _forward(descriptor: Any) -> Relation | None:
    field = descriptor.field
    remote = field.remote_field
    key_type = _key_type(field)
    if key_type is None or remote.parent_link or type(remote.model._base_manager) is not Manager:
        return None
    (target,) = field.foreign_related_fields
    return Relation(
        FORWARD,
        descriptor,
        remote.model,
        None,
        f"{target.name}__in",
        (),
        key_type,
        field.attname,
        target.attname,
        field.cache_name,
        None if remote.multiple else remote.cache_name,
    )


def _reverse_one(descriptor: Any) -> Relation | None:
    related = descriptor.related
    field, model = related.field, related.related_model
    key_type = _key_type(field)
    if key_type is None or related.parent_link or type(model._base_manager) is not Manager:
        return None
    (target,) = field.foreign_related_fields
    return Relation(
        REVERSE_ONE,
        descriptor,
        model,
        None,
        f"{field.name}__in",
        (),
        key_type,
        target.attname,
        field.attname,
        related.cache_name,
        field.cache_name,
    )


def _reverse_many(descriptor: Any) -> Relation | None:
    field = descriptor.field
    key_type = _key_type(field)
    if key_type is None:
        return None
    (target,) = field.foreign_related_fields
    return Relation(
        REVERSE_MANY,
        descriptor,
        descriptor.rel.related_model,
        descriptor.related_manager_cls._queryset_class,
        f"{field.name}__in",
        (),
        key_type,
        target.attname,
        field.attname,
        field.remote_field.cache_name,
        field.cache_name,
    )


def _many_to_many(descriptor: Any, instance: Any) -> Relation | None:
    manager = descriptor.__get__(instance)
    field = manager.source_field
    key_type = _key_type(field)
    if key_type is None:
        return None
    (target,) = field.foreign_related_fields
    quote = process_connection(instance._state.db or DEFAULT_DB_ALIAS).ops.quote_name
    selected = f"_prefetch_related_val_{field.attname}"
    table = manager.through._meta.db_table
    return Relation(
        MANY_TO_MANY,
        descriptor,
        manager.model,
        type(manager)._queryset_class,
        f"{manager.query_field_name}__in",
        (selected, f"{quote(table)}.{quote(field.column)}"),
        key_type,
        target.attname,
        selected,
        manager.prefetch_cache_name,
        None,
    )
