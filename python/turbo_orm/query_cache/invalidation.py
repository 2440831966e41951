"""What empties the query cache: whatever SQL depends on, and that no cache key has.

The functions here receive signals, or wrap a method of Django's that is called where something
changes. turbo_orm.patches installs them. A class whose methods are replaced suspends the cache
(**overrides**); the time zone, the routers and the receivers of ``pre_init`` and ``post_init`` are
looked at for each statement (**lookup**).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from turbo_orm import conf
from turbo_orm.backend import content_type_cache
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cache_entry import ModelEntry


def clear_cache(**kwargs: Any) -> None:
    """Drop all entries. Receives the signals after which SQL may be another."""
    cache.clear()


def follow_setting(*, setting: str, **kwargs: Any) -> None:
    """Take over a setting that has changed, or drop all entries, since SQL may depend on it."""
    if setting == conf.NAME:
        cache.configure()
    else:
        cache.clear()


def clearing(method: Any) -> Any:
    """Return a method of Django's, or a classmethod, that drops all entries when it is done."""
    function = method.__func__ if isinstance(method, classmethod) else method
    wrapped = _clearing(function)
    return classmethod(wrapped) if isinstance(method, classmethod) else wrapped


def _clearing(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def clear(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            cache.clear()

    return clear


def clearing_for_instances(register: Any) -> Any:
    """Return Django's ``register_lookup``, whose method for the lookups of one field clears too.

    The one for a class calls ``_clear_cached_class_lookups()``, which does.
    """
    return type(register)(register.class_method, _clearing(register.instance_method))


def forgetting_plans(clear_content_types: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return Django's method that empties its cache of content types, to have it filled again.

    The next instances of a model with generic relations are hydrated and saved where it can be.
    """

    @wraps(clear_content_types)
    def clear_cache(self: Any) -> None:
        clear_content_types(self)
        for entry in cache:
            if content_type_cache.is_generic(entry.model):
                for statement in list(entry.statements.values()):
                    statement.cached_plan = None
                if isinstance(entry, ModelEntry) and entry.saves is not None:
                    entry.saves.clear()

    return clear_cache
