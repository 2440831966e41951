"""Classes of related managers that are Django's, over an ``AsyncManager`` that overrides nothing.

Only their methods are known to do what Django's do. Such a class cannot be watched: Django counts
managers in an attribute of their base class. So its methods are compared each time.
"""

from __future__ import annotations

from inspect import getattr_static
from typing import Any

from django.db.models import Manager

from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.orm.cached_queryset import CachedQuerySet
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.overrides import TERMINALS

# Methods of managers that related ones are made of: they have to be those of Django's Manager.
_METHODS = (
    "__init__",
    "_set_creation_counter",
    "all",
    "create",
    "db_manager",
    "filter",
    "get_queryset",
    "using",
    "values_list",
)
_TERMINALS = TERMINALS | {"_fetch_all"}


class Plainness:
    """What is to be known of a class of related managers, and its methods as Django made them."""

    def __init__(self, manager_class: Any) -> None:
        superclass = manager_class.__mro__[1]
        self._queryset_class = superclass._queryset_class
        self._is_plain = (
            issubclass(self._queryset_class, CachedQuerySet)
            and all(map(is_own, vars(manager_class).values()))
            and all(
                getattr_static(superclass, name) is getattr_static(Manager, name)
                and is_own(getattr_static(Manager, name))
                for name in _METHODS
            )
        )
        own = [name for name, value in vars(manager_class).items() if callable(value)]
        self._owners = [superclass] * len(_METHODS) + [manager_class] * len(own)
        self._names = [*_METHODS, *own]
        self._methods = [*map(getattr, self._owners, self._names)]

    @property
    def is_plain(self) -> bool:
        """Whether nothing is overridden, nor replaced since."""
        queryset_class = self._queryset_class
        return (
            self._is_plain
            and (cache.is_enabled or cache.is_enabled_again())
            and not queryset_class._overridden
            and queryset_class._cacheable_terminals >= _TERMINALS
            and [*map(getattr, self._owners, self._names)] == self._methods
        )


def has_plain_class(manager_class: Any) -> bool:
    """Return whether a class of related managers is Django's, and the query cache is on."""
    found = getattr(manager_class, "_plainness", None)
    if type(found) is not Plainness:
        if not issubclass(manager_class._queryset_class, CachedQuerySet):
            return False
        found = manager_class._plainness = Plainness(manager_class)
    return found.is_plain
