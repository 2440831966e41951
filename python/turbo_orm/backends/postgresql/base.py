"""The wrappers of turbo-orm's engine.

Sync code has Django's own wrapper. Async code has that of django-async-backend, with a pool unless
the settings switch it off (**pool**).
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql.base import DatabaseWrapper
from django_async_backend.db.backends.postgresql import async_base

from turbo_orm.backends.postgresql.pool import DriverPool, pool_options

__all__ = ["AsyncDatabaseWrapper", "DatabaseWrapper"]


class AsyncDatabaseWrapper(async_base.AsyncDatabaseWrapper):
    """django-async-backend's wrapper, with a pool of this engine."""

    alias: str
    settings_dict: dict[str, Any]

    @property
    def pool(self) -> DriverPool | None:
        """The pool of the running event loop, or ``None`` if the settings want none."""
        options = pool_options(self.settings_dict)
        if options is None or self.alias == NO_DB_ALIAS:
            return None
        pools: dict[str, DriverPool] = self._connection_pools
        if self.alias not in pools:
            if self.settings_dict["CONN_HEALTH_CHECKS"]:
                options.setdefault("check", DriverPool.check_connection)
            pools[self.alias] = DriverPool(
                # Django sets it off where it is to be.
                kwargs={**self.get_connection_params(), "autocommit": True},
                open=False,
                configure=self._configure_connection,
                **options,
            )
        return pools[self.alias]
