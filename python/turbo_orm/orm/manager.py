"""The manager: Django's own, over AsyncQuerySet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Manager, Model
from django.db.models.fields import related_descriptors
from django.db.models.query import prefetch_related_objects

from turbo_orm.bridge import installation, sync_to_async
from turbo_orm.orm import delete, many_to_many, prefetch, refresh, related_managers, save
from turbo_orm.orm.queryset import AsyncQuerySet
from turbo_orm.orm.raw import AsyncRawQuerySet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models.expressions import Combinable
    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
else:
    # Nothing looks at it: Django's managers ignore what is in their brackets.
    _ModelT = Any


# Whose async methods need the app, on the classes that Django derives.
_OWN = ("django.", "turbo_orm.")


class AsyncManager(Manager[_ModelT]):
    """A Django manager whose ``a*`` methods run on an async connection, without a thread.

    ``objects = AsyncManager()`` is all that a model needs. It is a manager like any other: you can
    subclass it, override ``get_queryset()``, use ``from_queryset()``, and call it from sync code.
    Related managers are based on it if it is the model's default manager.
    """

    _queryset_class = AsyncQuerySet
    # Of a class that Django has derived for a relation: what is known of it, and the async methods
    # that Django has given it.
    _plainness: ClassVar[Any] = None
    _djangos_async: ClassVar[dict[str, Any]] = {}

    if TYPE_CHECKING:
        # Django's manager takes these over from the queryset.
        def get_queryset(self) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def all(self) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def none(self) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def filter(self, *args: Any, **kwargs: Any) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def exclude(self, *args: Any, **kwargs: Any) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def complex_filter(self, filter_obj: Any) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def union(self, *other_qs: Any, all: bool = False) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def intersection(self, *other_qs: Any) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def difference(self, *other_qs: Any) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def select_for_update(
            self,
            nowait: bool = False,
            skip_locked: bool = False,
            of: Sequence[str] = (),
            no_key: bool = False,
        ) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def select_related(self, *fields: Any) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def prefetch_related(self, *lookups: Any) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def annotate(self, *args: Any, **kwargs: Any) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def alias(self, *args: Any, **kwargs: Any) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def order_by(self, *field_names: str | Combinable) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def distinct(self, *field_names: str) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def reverse(self) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def defer(self, *fields: Any) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def only(self, *fields: str) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def using(self, alias: str | None) -> AsyncQuerySet[_ModelT, _ModelT]: ...
        def values(
            self, *fields: str | Combinable, **expressions: Any
        ) -> AsyncQuerySet[_ModelT, dict[str, Any]]: ...
        def values_list(
            self, *fields: str | Combinable, flat: bool = False, named: bool = False
        ) -> AsyncQuerySet[_ModelT, Any]: ...
        def raw(
            self,
            raw_query: Any,
            params: Any = (),
            translations: dict[str, str] | None = None,
            using: str | None = None,
        ) -> AsyncRawQuerySet[_ModelT]: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__ == related_descriptors.__name__:
            cls._plainness = None
            if cls.__name__ == "RelatedManager":
                related_managers.adapt(cls)
            else:
                many_to_many.adapt(cls)
        # Django derives a class for each relation, whose own async methods would use a thread.
        if not installation.is_installed:
            for name, method in list(vars(cls).items()):
                if iscoroutinefunction(method) and method.__module__.startswith(_OWN):
                    setattr(cls, name, _requiring_installation(method))

    async def alist(self) -> list[_ModelT]:
        """Return all objects as a list."""
        return await self.get_queryset().alist()


def _requiring_installation(method: Callable[..., Awaitable[Any]]) -> Any:
    @wraps(method)
    async def required(*args: Any, **kwargs: Any) -> Any:
        installation.require()
        return await method(*args, **kwargs)

    return required


def _as_manager(cls: type[AsyncQuerySet[Any, Any]]) -> AsyncManager[Any]:
    """Return an AsyncManager with this queryset's methods."""
    manager = AsyncManager.from_queryset(cls)()
    manager._built_with_as_manager = True  # type: ignore[attr-defined]
    return manager


# The queryset cannot import its manager. Django's managers skip what is marked queryset_only.
_as_manager.queryset_only = True  # type: ignore[attr-defined]
AsyncQuerySet.as_manager = classmethod(_as_manager)  # type: ignore[method-assign,assignment]


async def _prefetch_related_objects(instances: Any, *lookups: Any) -> None:
    await prefetch.prefetch(instances, lookups, AsyncQuerySet)


sync_to_async.register(
    AsyncManager,
    AsyncQuerySet,
    AsyncRawQuerySet,
    methods={
        Model.delete: delete.delete,
        Model.refresh_from_db: refresh.refresh,
        Model.save: save.save,
    },
    functions={prefetch_related_objects: _prefetch_related_objects},
)
