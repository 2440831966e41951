"""The async methods of model instances, which Django defines as thread hops."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache, wraps
from typing import Any

from django.db.models import Manager, Model

from turbo_orm.bridge import bridged_method


def use_bridge(manager_class: type[Manager[Any]]) -> None:
    """Have the async methods of instances use the bridge, for models with such a manager.

    It is Django's ``Model`` that gets the methods, so that a class which defines its own wins, and
    reaches them by ``super()``. Instances of other models are served as before.
    """

    @cache
    def is_managed(model: type[Model]) -> bool:
        return any(isinstance(manager, manager_class) for manager in model._meta.managers)

    for name in ("adelete", "arefresh_from_db", "asave"):
        setattr(Model, name, _dispatching(getattr(Model, name), is_managed))


def _dispatching(
    method: Callable[..., Coroutine[Any, Any, Any]], is_managed: Callable[[type[Model]], bool]
) -> Callable[..., Coroutine[Any, Any, Any]]:
    bridged = bridged_method(method)

    @wraps(method)
    async def dispatching(self: Model, *args: Any, **kwargs: Any) -> Any:
        if is_managed(type(self)):
            return await bridged(self, *args, **kwargs)
        return await method(self, *args, **kwargs)

    return dispatching
