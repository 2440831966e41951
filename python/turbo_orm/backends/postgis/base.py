"""The wrappers of turbo-orm's engine for GeoDjango.

Sync code has Django's wrapper for PostGIS. Async code has that of **postgresql.base**, with its
pool, and with what Django registers of PostGIS with a sync connection.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.contrib.gis.db.backends.postgis import base
from django.contrib.gis.db.backends.postgis.adapter import PostGISAdapter
from django.contrib.gis.db.backends.postgis.features import DatabaseFeatures
from django.contrib.gis.db.backends.postgis.operations import PostGISOperations
from django.db.backends.base.base import NO_DB_ALIAS
from django_async_backend.db.backends.postgresql.async_base import AsyncDatabaseOperations
from psycopg.types import TypeInfo
from psycopg.types.string import TextBinaryLoader, TextLoader

from turbo_orm.backends.postgresql.base import AsyncDatabaseWrapper as _AsyncDatabaseWrapper

# What is known of the types, by their names and the aliases of databases: sync code has it, too.
_known_types: dict[str, dict[str, TypeInfo | None]] = vars(base.DatabaseWrapper)["_type_infos"]

__all__ = ["AsyncDatabaseWrapper", "DatabaseWrapper"]


class Operations(PostGISOperations):
    """Django's operations for PostGIS, whose converters serve all threads."""

    def get_geometry_converter(self, expression: Any) -> Any:
        """Return the converter of a column's geometries.

        Django's has the reader of the thread that has compiled the statement. A cached statement
        is executed in other threads, too, each of which has a reader of its own.
        """
        converter_of = super().get_geometry_converter

        @wraps(converter_of(expression))
        def convert(value: Any, expression: Any, connection: Any) -> Any:
            return converter_of(expression)(value, expression, connection)

        return convert


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's wrapper for PostGIS."""

    ops_class = Operations


class AsyncOperations(AsyncDatabaseOperations, Operations):  # type: ignore[misc]
    """django-async-backend's operations, with those for PostGIS."""


class AsyncDatabaseWrapper(_AsyncDatabaseWrapper):
    """The engine's async wrapper, whose connections know the types of PostGIS."""

    features_class: Any = DatabaseFeatures
    ops_class: Any = AsyncOperations

    async def _configure_connection(self, connection: Any) -> bool:
        if self.alias != NO_DB_ALIAS:
            await self.register_geometry_adapters(connection)
        return bool(await super()._configure_connection(connection))

    async def register_geometry_adapters(
        self, pg_connection: Any, clear_caches: bool = False
    ) -> None:
        """Do as Django's wrapper for PostGIS, with a connection of psycopg's that is async.

        The types are asked for once in a process, for sync and for async connections.
        """
        if clear_caches:
            for known in _known_types.values():
                known.pop(self.alias, None)
        oids = [await self._register_type(pg_connection, name) for name in _known_types]
        for dumper in base.postgis_adapters(*oids):
            pg_connection.adapters.register_dumper(PostGISAdapter, dumper)

    async def _register_type(self, pg_connection: Any, name: str) -> int | None:
        known = _known_types[name]
        if self.alias in known:
            info = known[self.alias]
        else:
            info = known[self.alias] = await TypeInfo.fetch(pg_connection, name)
        if info is None:
            # The extension has not been created.
            return None
        info.register(pg_connection)
        pg_connection.adapters.register_loader(info.oid, TextLoader)
        pg_connection.adapters.register_loader(info.oid, TextBinaryLoader)
        return info.oid
