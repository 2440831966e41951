"""The thread hops of Django's async methods, which go on the bridge where they lead to a database.

Django's ``a*`` methods are ``await sync_to_async(self.method)(…)``. It is the name
``sync_to_async`` in Django's modules that is replaced, by one function for them all. So a class
that defines a method of its own wins, ``super()`` reaches Django's, and nothing of it is copied.

By default it is the hops of whatever has an ``AsyncManager`` that go on the bridge, and those of
all the rest are asgiref's. ``redirect_everything()`` sends all of them there, but for what waits
for something else than a database.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

from asgiref.sync import SyncToAsync
from django.db.models import Model, QuerySet
from django.db.models.query import RawQuerySet, prefetch_related_objects

from turbo_orm import bridge

# Where the methods of models, querysets and related managers hop.
_MODULES = {
    "django.db.models.base",
    "django.db.models.fields.related_descriptors",
    "django.db.models.query",
}
# Can be imported only where contenttypes is installed, and is, where there is a generic relation.
_GENERIC = "django.contrib.contenttypes.fields"

# The classes whose methods go on the bridge, and Django's methods that have an async counterpart.
_bridged: tuple[type, ...] = ()
_counterparts: dict[Callable[..., Any], Callable[..., Awaitable[Any]]] = {}
_everything = False


def _belongs_in_a_thread(func: Any, owner: Any) -> bool:
    return False


_unless: Callable[[Any, Any], bool] = _belongs_in_a_thread


def register(
    *classes: type, methods: Mapping[Callable[..., Any], Callable[..., Awaitable[Any]]]
) -> None:
    """Have the hops of these classes, and of models with such a manager, use the bridge.

    ``methods`` maps methods of Django's instances to coroutine functions that are called in their
    place, with the instance and the keyword arguments.
    """
    global _bridged
    _bridged = (*_bridged, *classes)
    _counterparts.update(methods)


def use_bridge() -> None:
    """Replace ``sync_to_async`` in Django's modules."""
    for name in _MODULES:
        _redirect(name)
    redirect_generic_relations()


def redirect_generic_relations() -> None:
    """Have the hops of generic relations use the bridge, too, if there can be any."""
    if _GENERIC in sys.modules:
        _redirect(_GENERIC)


def _redirect(name: str) -> None:
    module: Any = sys.modules[name]
    module.sync_to_async = sync_to_async


def redirect_everything(
    everything: bool = True, unless: Callable[[Any, Any], bool] | None = None
) -> None:
    """Have all hops use the bridge, or those of models with an AsyncManager.

    ``unless`` says of a function, and of the object that it is a method of, if it is one, whether
    it belongs in a thread all the same.
    """
    global _everything, _unless
    _everything = everything
    _unless = unless or _belongs_in_a_thread


def redirects_everything() -> bool:
    """Return whether the hops of all models use the bridge."""
    return _everything


def sync_to_async(
    func: Callable[..., Any] | None = None, *, thread_sensitive: bool = True, **options: Any
) -> Any:
    """Return a coroutine function that calls a sync one, on the bridge or as asgiref does.

    What is not sensitive to its thread is meant for any other: password hashers, say. It stays
    with asgiref. Raises ``TypeError`` where asgiref's ``sync_to_async()`` does.
    """
    if func is None:
        return lambda func: sync_to_async(func, thread_sensitive=thread_sensitive, **options)
    hop = SyncToAsync(func, thread_sensitive=thread_sensitive, **options)
    if not thread_sensitive or options:
        return hop

    async def redirected(*args: Any, **kwargs: Any) -> Any:
        if _goes_on_bridge(func, args):
            method: Any = func
            counterpart = _counterparts.get(getattr(method, "__func__", None))  # type: ignore[arg-type]
            if counterpart is not None and not args:
                return await counterpart(method.__self__, **kwargs)
            return await bridge.run(func, *args, **kwargs)
        return await hop(*args, **kwargs)

    return redirected


def _goes_on_bridge(func: Any, args: tuple[Any, ...]) -> bool:
    owner = getattr(func, "__self__", None)
    if _everything:
        return not _unless(func, owner)
    if isinstance(owner, Model):
        return _is_managed(type(owner))
    if func is prefetch_related_objects:
        return _is_prefetched(*args)
    return isinstance(owner, _bridged)


def _is_managed(model: type[Model]) -> bool:
    return any(isinstance(manager, _bridged) for manager in model._meta.managers)


def _is_prefetched(instances: Any, *lookups: Any) -> bool:
    """Return whether what is prefetched, or what it is prefetched for, has an AsyncManager."""
    if any(isinstance(getattr(lookup, "queryset", None), _bridged) for lookup in lookups):
        return True
    if isinstance(instances, QuerySet | RawQuerySet):
        # To look at its instances might evaluate it.
        model: Any = instances.model
        return isinstance(instances, _bridged) or _is_managed(model)
    if isinstance(instances, Iterator):
        # To look would use it up. Django reads it more than once, and gets no further.
        return True
    if not isinstance(instances, Iterable):
        return False
    kinds = set(map(type, instances))
    # Where there is nothing, nothing is waited for.
    return not kinds or any(issubclass(kind, Model) and _is_managed(kind) for kind in kinds)
