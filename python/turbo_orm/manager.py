"""The manager: Django's own, over AsyncQuerySet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Manager, Model

from turbo_orm import models, related
from turbo_orm.queryset import AsyncQuerySet

_ModelT = TypeVar("_ModelT", bound=Model, covariant=True)


class AsyncManager(Manager[_ModelT]):
    """A Django manager whose ``a*`` methods run on an async connection, without a thread.

    ``objects = AsyncManager()`` is all that a model needs. It is a manager like any other:
    subclass it, override ``get_queryset()``, use ``from_queryset()``, and use it from sync code.
    Related managers are built from it where it is the model's default manager.
    """

    _queryset_class = AsyncQuerySet

    if TYPE_CHECKING:
        # Django's manager takes these over from the queryset.
        def get_queryset(self) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def all(self) -> AsyncQuerySet[_ModelT, _ModelT]: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Django writes a class of its own for each relation, derived from this one.
        related.use_bridge(cls)

    async def alist(self) -> list[_ModelT]:
        """Return all objects as a list."""
        return await self.get_queryset().alist()


def _as_manager(cls: type[AsyncQuerySet[Any, Any]]) -> AsyncManager[Any]:
    """Return an AsyncManager with this queryset's methods."""
    manager = AsyncManager.from_queryset(cls)()
    manager._built_with_as_manager = True  # type: ignore[attr-defined]
    return manager


# The queryset cannot import its manager. Django's managers skip what is marked queryset_only.
_as_manager.queryset_only = True  # type: ignore[attr-defined]
AsyncQuerySet.as_manager = classmethod(_as_manager)  # type: ignore[method-assign,assignment]

models.use_bridge(AsyncManager)
