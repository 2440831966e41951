"""Rows of related models in rows, as JSON: ``ajson(nested={"cities": City.objects.values()})``.

Each relation takes one statement, as a prefetch does: related rows are filtered by the keys of the
rows that they will be in. The statements of relations that do not depend on each other are sent
together. It is sync code, for the bridge or a sync connection.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from django.db import router
from django.db.models import ExpressionWrapper, F, Field, Model, QuerySet
from django.db.models.fields import related_descriptors
from django.db.models.query import ValuesIterable

from turbo_orm.execution.json_members import HIDDEN, Members, members_of
from turbo_orm.orm import as_json
from turbo_orm.orm.as_json import Rows
from turbo_orm.orm.cached_queryset import CachedQuerySet
from turbo_orm.query_cache.cache_key import of_lookups
from turbo_orm.query_cache.prefetch_filters import MANY_TO_MANY

_SEPARATOR = "__"


class _Relation(NamedTuple):
    """How rows of a related model are found, and whose they are."""

    model: Any
    #: The lookup and the expression of the key in the related model, and in the model itself.
    lookup: str
    key: str
    attname: str
    many: bool
    #: The field of the key's value.
    field: Any


def _relation(model: type[Model], name: str) -> _Relation:
    """Return the relation that instances of a model have as an attribute."""
    for each in model._meta.get_fields(include_hidden=True):
        field: Any = each
        if not field.is_relation or field.related_model in (None, "self"):
            continue
        is_forward = isinstance(field, Field)
        accessor = field.name if is_forward else field.get_accessor_name()
        if accessor != name:
            continue
        relation = _forward(field) if is_forward else _reverse(field)
        if relation is not None:
            return relation
    raise ValueError(
        f"'{name}' is no foreign key, one-to-one or many-to-many relation of {model.__name__}, "
        "from either side, so no rows can be nested in it."
    )


def _forward(field: Any) -> _Relation | None:
    if field.many_to_many and hasattr(field, "m2m_db_table"):
        target = _through_target(field, field.m2m_field_name())
        name, key = field.related_query_name(), target.attname
        return _Relation(field.related_model, name, f"{name}__{key}", key, True, _value(target))
    if not (field.concrete and len(field.foreign_related_fields) == 1):
        return None
    (target,) = field.foreign_related_fields
    name = target.name
    return _Relation(field.related_model, name, name, field.attname, False, _value(target))


def _reverse(relation: Any) -> _Relation | None:
    field = relation.field
    if field.many_to_many:
        target = _through_target(field, field.m2m_reverse_field_name())
        key, attname = f"{field.name}__{target.attname}", target.attname
        return _Relation(relation.related_model, field.name, key, attname, True, _value(target))
    if not (field.concrete and len(field.foreign_related_fields) == 1):
        return None
    (target,) = field.foreign_related_fields
    model, many, key = relation.related_model, relation.one_to_many, field.attname
    return _Relation(model, field.name, key, target.attname, many, _value(target))


def _through_target(field: Any, name: str) -> Any:
    """Return the field to which a foreign key of a many-to-many relation's table refers."""
    foreign_key = field.remote_field.through._meta.get_field(name)
    return foreign_key.foreign_related_fields[0]


def _value(field: Any) -> Any:
    """Return the field that values are of, by way of foreign keys."""
    while field.remote_field:
        (field,) = field.foreign_related_fields
    return field


class _Query:
    """A queryset, and those of related models whose rows are nested in its own."""

    def __init__(self, queryset: Any, relation: _Relation | None = None) -> None:
        if not (
            isinstance(queryset, QuerySet) and issubclass(queryset._iterable_class, ValuesIterable)
        ):
            raise TypeError(
                f"Rows are nested by a queryset of values(), not by {type(queryset).__name__}."
            )
        self.queryset: Any = queryset
        #: How it is related to the outer query, and the name that its rows have the key by.
        self.relation = relation
        self.inner: dict[str, _Query] = {}

    @classmethod
    def of(cls, queryset: Any, relations: Mapping[str, Any]) -> _Query:
        query = cls(queryset)
        for path in sorted(relations, key=lambda path: path.count(_SEPARATOR)):
            *outer, name = path.split(_SEPARATOR)
            within = query
            for each in outer:
                if each not in within.inner:
                    raise ValueError(f"'{path}' is nested in rows that are not: name them, too.")
                within = within.inner[each]
            relation = _relation(within.queryset.model, name)
            inner = cls(relations[path], relation)
            if not issubclass(inner.queryset.model, relation.model._meta.concrete_model):
                raise ValueError(
                    f"'{path}' relates to {relation.model.__name__}, and the queryset has rows of "
                    f"{inner.queryset.model.__name__}."
                )
            within.inner[name] = inner
        return query

    def with_keys(self) -> Any:
        """Return the queryset, which selects what the inner queries are related by."""
        queryset = self.queryset
        relations = [inner.relation for inner in self.inner.values() if inner.relation]
        for relation in {each.attname: each for each in relations}.values():
            queryset = _selecting(queryset, relation)
        return queryset


def _selecting(queryset: Any, relation: _Relation) -> Any:
    """Select a column for what is nested, if that changes nothing else."""
    selection, name = _selection(queryset), relation.attname
    _refuse_shadowed(selection, name)
    if name in selection.names:
        return queryset
    if selection.decides_rows:
        raise ValueError(
            f"Rows are nested by '{name}', and to select it changes which rows a union, "
            "distinct() or an aggregate has. Name it in values()."
        )
    return queryset.annotate(**{f"{HIDDEN}{name}": _key_to_select(selection, name, relation)})


def _key_to_select(selection: _Selection, name: str, relation: _Relation) -> Any:
    """Return the expression of a key, which may be selected by another name as well.

    Where Django makes so many rows for each key of a slice, it selects equal expressions once.
    """
    return ExpressionWrapper(F(name), relation.field) if selection.is_sliced else F(name)


def _refuse_shadowed(selection: _Selection, *names: str) -> None:
    for name in names:
        if (first := name.split(_SEPARATOR)[0]) in selection.annotations:
            raise ValueError(
                f"'{first}' is an annotation of the queryset, and rows would be nested by the "
                "field: name the annotation otherwise."
            )


class _Selection(NamedTuple):
    names: Sequence[str]
    #: The names of annotations, which are found before those of fields.
    annotations: Container[str]
    #: Whether what is selected decides which rows there are.
    decides_rows: bool
    is_sliced: bool


# What is selected by chains that the query cache holds: to ask Django, its query has to be built.
_selections: WeakKeyDictionary[Any, _Selection] = WeakKeyDictionary()


def _selection(queryset: Any) -> _Selection:
    chain = getattr(queryset, "_cached", None)
    found = None if chain is None else _selections.get(chain[0])
    if found is None:
        query = (queryset if chain is None else queryset._without_chain("")).query
        found = _Selection(
            [*(query.selected or (*query.values_select, *query.annotation_select))],
            {*query.annotations},
            bool(query.combinator or query.distinct or query.group_by is not None),
            query.is_sliced,
        )
        if chain is not None:
            _selections[chain[0]] = found
    return found


class _Level:
    """Rows that are received, and what is to be nested in them."""

    def __init__(self, query: _Query, queryset: Any) -> None:
        self.query = query
        self.queryset = queryset
        self.rows: Rows | None = None
        self.inner: dict[str, _Level] = {}

    def members(self) -> Members:
        """Return what is written of each row. What is nested in it was received."""
        rows = self.rows
        assert rows is not None
        members = members_of(self.queryset.model, rows.names)
        for name, level in self.inner.items():
            relation = level.query.relation
            assert relation is not None
            if name in [member[0] for member in members]:
                raise ValueError(f"'{name}' is selected by values(), and to be nested, too.")
            many = relation.many
            by_key = level.rows.by_key(_KEY, level.members(), many) if level.rows else {}
            members.append((name, _key(rows, relation.attname), by_key, many))
        return members


# The name of the value that related rows have the key by. No attribute's name ends so.
_KEY = f"{HIDDEN}key_"


def _key(rows: Rows, attname: str) -> str:
    return attname if attname in rows.names else f"{HIDDEN}{attname}"


def json(queryset: Any, relations: Mapping[str, Any]) -> bytes:
    """Return the rows of a queryset as a JSON array, with those of related models in them."""
    query = read(queryset, relations)
    queryset = query.with_keys()
    return array(query, queryset, as_json.fetch(queryset))


def read(queryset: Any, relations: Mapping[str, Any]) -> _Query:
    """Read ``{"cities": queryset, "cities__districts": queryset, …}``."""
    return _Query.of(queryset, relations)


def array(query: _Query, queryset: Any, rows: Rows) -> bytes:
    """Return rows, received for the query's queryset with keys, as a JSON array."""
    outermost = _Level(query, queryset)
    outermost.rows = rows
    levels = [outermost]
    # From the outside to the inside.
    while levels := [inner for level in levels for inner in _inner(level)]:
        received = as_json.fetch_together([level.queryset for level in levels])
        for level, found in zip(levels, received, strict=True):
            level.rows = found
    return rows.array(outermost.members() if rows.names else None)


def _inner(level: _Level) -> Iterator[_Level]:
    """Yield what is nested in the rows of a level, unless there are none for which."""
    rows = level.rows
    assert rows is not None
    for name, query in level.query.inner.items():
        relation = query.relation
        assert relation is not None
        keys = rows.values(_key(rows, relation.attname)) if rows.names else []
        inner = level.inner[name] = _Level(query, query.queryset)
        if wanted := [key for key in dict.fromkeys(keys) if key is not None]:
            inner.queryset = _related(query, relation, wanted, rows.using)
            yield inner


def _related(query: _Query, relation: _Relation, keys: list[Any], using: str) -> Any:
    """Return the queryset of the related rows, which select their key."""
    queryset = query.with_keys()
    if queryset._db is None:
        queryset = queryset.using(_database(queryset, using))
    selection = _selection(queryset)
    _refuse_shadowed(selection, relation.lookup, relation.key)
    # As a prefetch does: joins that the queryset has are shared.
    if isinstance(queryset, CachedQuerySet) and not selection.is_sliced:
        given = {f"{relation.lookup}__in": keys}
        queryset = queryset._step("_filter_prefetch", of_lookups, (MANY_TO_MANY,), given)
    else:
        # Of a slice, so many rows for each key.
        functions: Any = related_descriptors
        queryset = functions._filter_prefetch_queryset(queryset._chain(), relation.lookup, keys)
    return queryset.annotate(**{_KEY: _key_to_select(selection, relation.key, relation)})


def _database(queryset: Any, using: str) -> str:
    """Return the database of related rows: as the routers say, or else that of the outer rows.

    For a prefetch they get an instance, too, which there is none of here.
    """
    for each in router.routers:
        ask = getattr(each, "db_for_read", None)
        if ask is not None and (named := ask(queryset.model, **queryset._hints)):
            return str(named)
    return using
