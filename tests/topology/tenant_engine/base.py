"""The engine of django-tenants over turbo-orm's, as the documentation shows it."""

from contextvars import ContextVar

from django_tenants.postgresql_backend.base import DatabaseWrapper as TenantWrapper
from django_tenants.postgresql_backend.base import FakeTenant

from turbo_orm.backends.postgresql.base import AsyncDatabaseWrapper

__all__ = ["AsyncDatabaseWrapper", "DatabaseWrapper"]

_tenant = ContextVar("tenant", default=FakeTenant("public"))  # noqa: B039


class DatabaseWrapper(TenantWrapper):
    """The tenant is that of the context: of a request, and of the tasks that it starts."""

    def __init__(self, *args, **kwargs):
        before = _tenant.get()
        super().__init__(*args, **kwargs)
        _tenant.set(before)

    tenant = property(lambda self: _tenant.get(), lambda self, new: new and _tenant.set(new))
    schema_name = property(lambda self: _tenant.get().schema_name, lambda self, name: None)
