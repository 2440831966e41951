"""Which of Django's methods a queryset class overrides, and which another package has replaced.

A class that overrides a method that decides the SQL has no cached querysets, and one that
overrides a terminal no cached statements of that. A method that Django's own class has lost to
another package, or to a test's mock, counts as overridden. That is found out when a class is made,
and anew whenever one is modified (turbo_orm.bridge.replaced_methods).
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import getattr_static
from typing import Any

from django.db.models import Exists, Model, QuerySet, Subquery, lookups
from django.db.models.deletion import Collector
from django.db.models.expressions import Col
from django.db.models.options import Options
from django.db.models.sql import Query, compiler
from django.db.models.sql.datastructures import Join
from django.db.models.sql.where import WhereNode

from turbo_orm._core import watch_class
from turbo_orm.bridge.replaced_methods import is_own, replaced, unwrapped

_lookups = [
    each for each in vars(lookups).values() if getattr(each, "__module__", "") == lookups.__name__
]

# What Django compiles and executes with. Where a method is another
# package's, nothing is cached.
_DECIDING = (
    compiler.SQLAggregateCompiler,
    compiler.SQLCompiler,
    compiler.SQLDeleteCompiler,
    compiler.SQLInsertCompiler,
    compiler.SQLUpdateCompiler,
    Col,
    Collector,
    Exists,
    Join,
    Options,
    Query,
    Subquery,
    WhereNode,
    *_lookups,
)

TERMINALS = frozenset(
    {"aggregate", "count", "create", "delete", "exists", "first", "get", "last", "update"}
)
# The methods of a queryset that decide the SQL, or what is made of it.
_OTHERS = {"as_manager", "bulk_create", "bulk_update", "get_or_create", "update_or_create"}
_STEPS = {
    name
    for name, value in vars(QuerySet).items()
    if (callable(value) or isinstance(value, property))
    and name not in TERMINALS | _OTHERS
    and not name.startswith("a")
} | {"alias", "all", "annotate", "_annotate", "_avoid_cloning"}

#: The methods of Django's QuerySet that another package has replaced.
foreign: frozenset[str] = frozenset()

# The methods of the class that querysets are derived from, as they were when it was made.
_originals: dict[str, Any] = {}
_classes: list[Any] = []


# Django's own methods, whatever is put in their place later.
_DJANGOS = dict(vars(QuerySet))


def has_djangos(queryset_class: Any, *names: str) -> bool:
    """Return whether methods of a class are those that Django's QuerySet was written with."""
    return all(getattr(queryset_class, name) is _DJANGOS[name] for name in names)


def overridden(model: type[Model], names: Iterable[str]) -> str:
    """Return the first of these methods of ``Model`` that a model overrides, or is replaced."""
    for name in names:
        method = getattr_static(Model, name, None)
        if getattr_static(model, name, None) is not method or not is_own(method):
            return name
    return ""


def add(queryset_class: Any) -> None:
    """Set what a class overrides, from now on."""
    if not _originals and queryset_class.__name__ == "AsyncQuerySet":
        _originals.update(
            {name: getattr_static(queryset_class, name, None) for name in _STEPS | TERMINALS}
        )
    _classes.append(queryset_class)
    _update(queryset_class)


def update() -> str:
    """Set anew what all classes override. Return what keeps all from being cached."""
    global foreign
    foreign = frozenset([name for name in _originals if not is_own(vars(QuerySet).get(name))])
    for queryset_class in _classes:
        _update(queryset_class)
    keys = ["_get_pk_val", "_set_pk_val", "pk"]
    return replaced(*_DECIDING) or replaced(Model, names=keys) or replaced(QuerySet, names=[])


def _update(queryset_class: Any) -> None:
    watch_class(queryset_class)
    overridden = frozenset(
        [
            name
            for name, original in _originals.items()
            if unwrapped(getattr_static(queryset_class, name, None)) is not unwrapped(original)
            or name in foreign
            or not is_own(original)
        ]
    )
    steps = overridden & _STEPS
    kept = TERMINALS & {"create"} if steps else TERMINALS | {"_fetch_all"}
    # To assign is to modify.
    if queryset_class._overridden != steps:
        queryset_class._overridden = steps
    if queryset_class._cacheable_terminals != kept - overridden:
        queryset_class._cacheable_terminals = kept - overridden
