"""Django's calls of ``sync_to_async()``, which use the bridge where they lead to a database.

Django's ``a*`` methods are ``await sync_to_async(self.method)(…)``. ``turbo_orm.patches`` replaces
the name ``sync_to_async`` in Django's modules by the function of this one, the same for them all.
So a class that defines a method of its own wins, ``super()`` reaches Django's, and nothing of it
is copied.

By default it is the methods of models, querysets and related managers with an ``AsyncManager``
that run on the bridge, and everything else is left to asgiref. ``redirect_everything()`` has all
calls use the bridge, but for those that wait for something else than a database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any

from asgiref.sync import SyncToAsync
from django.db.models import Model, QuerySet
from django.db.models.query import RawQuerySet, prefetch_related_objects

from turbo_orm import bridge

#: Django's modules in which it is called by methods of models, querysets and related managers, and
#: by signals.
MODULES = (
    "django.db.models.base",
    "django.db.models.fields.related_descriptors",
    "django.db.models.query",
    # The sync receivers of asend().
    "django.dispatch.dispatcher",
)
#: That of generic relations, which can be imported only where contenttypes is installed.
GENERIC_RELATIONS = "django.contrib.contenttypes.fields"

# The classes whose methods go on the bridge, and Django's methods that have an async counterpart.
_bridged: tuple[type, ...] = ()
_counterparts: dict[Callable[..., Any], Callable[..., Awaitable[Any]]] = {}
_functions: dict[Callable[..., Any], Callable[..., Awaitable[Any]]] = {}
_everything = False
_conditions: list[Callable[[Any], bool]] = []

# What says of a function, the object that it is a method of, and its arguments whether it belongs
# in a thread.
type Unless = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], bool]


def _never(*call: Any) -> bool:
    return False


_unless: Unless = _never


def register(
    *classes: type,
    methods: Mapping[Callable[..., Any], Callable[..., Awaitable[Any]]],
    functions: Mapping[Callable[..., Any], Callable[..., Awaitable[Any]]],
) -> None:
    """Have the methods of these classes, and of models with such a manager, use the bridge.

    ``methods`` maps methods of Django's instances to coroutine functions that are called in their
    place, with the instance and the keyword arguments; ``functions`` maps functions likewise.
    """
    global _bridged
    _bridged = (*_bridged, *classes)
    _counterparts.update(methods)
    _functions.update(functions)


def redirect_everything(everything: bool = True, unless: Unless = _never) -> None:
    """Have all calls use the bridge, or only those for models with an AsyncManager.

    ``unless`` returns of a call whether it belongs in a thread all the same.
    """
    global _everything, _unless
    _everything = everything
    _unless = unless


def use_bridge_where(condition: Callable[[Any], bool]) -> None:
    """Have what would run in a thread run on the bridge where a condition holds for it."""
    _conditions.append(condition)


def redirects_everything() -> bool:
    """Return whether the calls for all models use the bridge."""
    return _everything


def sync_to_async(
    func: Callable[..., Any] | None = None, *, thread_sensitive: bool = True, **options: Any
) -> Any:
    """Return a coroutine function that calls a sync one, on the bridge or as asgiref does.

    With ``thread_sensitive=False`` the function is meant for another thread, as password hashers
    are, and is left to asgiref. Raises ``TypeError`` where asgiref's ``sync_to_async()`` does.
    """
    if func is None:
        return lambda func: sync_to_async(func, thread_sensitive=thread_sensitive, **options)
    method: Any = func
    counterpart = _counterparts.get(getattr(method, "__func__", None))  # type: ignore[arg-type]
    # What has a counterpart is known to be a sync method, which need not be looked at.
    in_thread: Any = None
    if counterpart is None or not thread_sensitive or options:
        in_thread = SyncToAsync(func, thread_sensitive=thread_sensitive, **options)
        if not thread_sensitive or options:
            return in_thread

    async def redirected(*args: Any, **kwargs: Any) -> Any:
        if _uses_bridge(func, args, kwargs):
            if counterpart is not None and not args:
                return await counterpart(method.__self__, **kwargs)
            if type(func) is FunctionType and func in _functions:
                return await _functions[func](*args, **kwargs)
            return await bridge.run(func, *args, **kwargs)
        if any(condition(func) for condition in _conditions):
            return await bridge.run(func, *args, **kwargs)
        return await (in_thread or SyncToAsync(method))(*args, **kwargs)

    return redirected


def _uses_bridge(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    owner = getattr(func, "__self__", None)
    return _has_async_manager(func, owner, args) or (
        _everything and not _unless(func, owner, args, kwargs)
    )


def _has_async_manager(func: Any, owner: Any, args: tuple[Any, ...]) -> bool:
    if isinstance(owner, Model):
        return _is_managed(type(owner))
    if func is prefetch_related_objects:
        return _is_prefetched(*args)
    if isinstance(owner, _bridged):
        return True
    model: Any = getattr(owner, "model", None)
    # Of a relation to many whose model Django makes, the managers are Django's.
    return isinstance(model, type) and issubclass(model, Model) and _is_managed_through(model)


def _is_managed(model: Any) -> bool:
    for manager in model._meta.managers:
        if isinstance(manager, _bridged):
            return True
    return _is_managed_through(model)


def _is_managed_through(model: Any) -> bool:
    """Return whether a model was made for a relation to many, and a side of that is managed."""
    return bool(model._meta.auto_created) and any(
        _is_managed(field.related_model) for field in model._meta.fields if field.is_relation
    )


def _is_prefetched(instances: Any, *lookups: Any) -> bool:
    """Return whether what is prefetched, or what it is prefetched for, has an AsyncManager."""
    if any(isinstance(getattr(lookup, "queryset", None), _bridged) for lookup in lookups):
        return True
    if isinstance(instances, QuerySet | RawQuerySet):
        # To iterate over its instances would evaluate it.
        model: Any = instances.model
        return isinstance(instances, _bridged) or _is_managed(model)
    if isinstance(instances, Iterator):
        # It can be iterated over once. Django does so more than once, and prefetches nothing.
        return True
    if not isinstance(instances, Iterable):
        return False
    types = set(map(type, instances))
    # Without instances, nothing is queried.
    return not types or any(issubclass(each, Model) and _is_managed(each) for each in types)
