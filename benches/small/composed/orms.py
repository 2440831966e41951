"""The contenders over Django's models: what they call differently."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import Model, Prefetch

from benches.contenders import django


class Orm(django.DjangoOrm):
    """An ORM: its manager of a model, its transactions, and the methods of instances."""

    #: Whether instances, and managers of what is related to them, are its own.
    has_instances = True
    #: The operations that it has no methods for, or executes other statements for.
    lacks: frozenset[str] = frozenset()
    #: The database, if it is not the default one.
    alias: str | None = None

    def __call__(self, model: type[Model]) -> Any:
        """Return the manager of a model, as an application looks it up."""
        manager = getattr(model, self.manager)
        return manager if self.alias is None else manager.db_manager(self.alias)

    def list(self, queryset: Any) -> Any:
        """Return an awaitable of a queryset's results."""
        return self.listed(queryset)

    def related(self, manager: Any) -> Any:
        """Return the manager of what is related to an instance."""
        return manager

    def prefetch(self, name: str, model: type[Model]) -> Any:
        """Return what is prefetched of a relation: by the same kind of manager."""
        return Prefetch(name, self(model).all())

    def atomic(self) -> AbstractAsyncContextManager[None]:
        """Return a transaction."""
        raise NotImplementedError

    async def each(self, *calls: Callable[[], Awaitable[Any]]) -> Any:
        """Await statements that are independent of each other, and return their results."""
        return [await call() for call in calls]

    def save(self, instance: Any) -> Any:
        return instance.asave()

    def delete(self, instance: Any) -> Any:
        return instance.adelete()


class Turbo(Orm, django.Turbo):
    def atomic(self) -> AbstractAsyncContextManager[None]:
        from turbo_orm import async_atomic

        return async_atomic(self.alias)


class Backend(Orm, django.Backend):
    has_instances = False
    lacks = frozenset(
        {
            "aiterator",
            "prefetch of tags",
            "prefetch, 10",
            "prefetch, 100",
            "prefetch, 1,000",
            "queryset in __in",
            "raw",
        }
    )

    def atomic(self) -> AbstractAsyncContextManager[None]:
        from django_async_backend.db.transaction import async_atomic

        return async_atomic()


class DjangoAsync(Orm, django.DjangoAsync):
    """Django's methods, whose instances have turbo-orm's: these are called in its thread."""

    def related(self, manager: Any) -> Any:
        return manager(manager=self.manager)

    @asynccontextmanager
    async def _atomic(self) -> AsyncIterator[None]:
        atomic = transaction.atomic(self.alias)
        await sync_to_async(atomic.__enter__)()
        try:
            yield
        finally:
            await sync_to_async(atomic.__exit__)(None, None, None)

    def atomic(self) -> AbstractAsyncContextManager[None]:
        return self._atomic()

    def save(self, instance: Any) -> Any:
        return sync_to_async(instance.save)()

    def delete(self, instance: Any) -> Any:
        return sync_to_async(instance.delete)()
