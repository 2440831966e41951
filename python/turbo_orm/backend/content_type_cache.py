"""Django's cache of content types in an event loop, where plain code cannot fill it.

Django looks content types up by a query each, when it first needs one: where a generic relation is
touched (``photo.tags``), a generic foreign key is assigned, or ``exclude()`` is called over such a
relation. In a coroutine that is plain code, which would fail in every fresh process. So the cache
is filled on the bridge, when the first instances of a model with such a field are fetched or saved
there; and what is excluded before that gets the key when it is compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache, wraps
from typing import Any

from django.apps import apps
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, models
from django.db.models import Value
from django.db.models.sql.where import AND, WhereNode

from turbo_orm import bridge

# Is among the content types of a database that have been fetched, until Django clears its cache.
_FETCHED: Any = object()
# That of a queryset, since Django 6.1.
_FETCH_MODE = {"fetch_mode": models.FETCH_ONE} if hasattr(models, "FETCH_ONE") else {}


def is_missing(alias: str, *models: type[models.Model]) -> bool:
    """Return whether models need the content types of a database that was not asked for them."""
    return any(map(is_generic, models)) and _FETCHED not in _manager()._cache.get(alias, ())


def fill(alias: str, *models: type[models.Model]) -> None:
    """Fetch the content types of a database on the bridge, if models need them, once.

    As with BEGIN, the statement is turbo-orm's own, which no log shows. Call it beside a statement
    of the caller's, which might come first in a transaction.
    """
    if not bridge.active() or bridge.stand_in(alias) is not None or not is_missing(alias, *models):
        return
    connection = connections[alias]
    connection.ensure_connection()
    manager, names = _manager(), ["id", "app_label", "model"]
    table, *columns = map(connection.ops.quote_name, [manager.model._meta.db_table, *names])
    with connection.wrap_database_errors:
        for row in bridge.await_(_rows(connection.connection, table, ", ".join(columns))):
            manager._add_to_cache(alias, manager.model.from_db(alias, names, row, **_FETCH_MODE))
    manager._cache.setdefault(alias, {})[_FETCHED] = None


def _manager() -> Any:
    return sys.modules["django.contrib.contenttypes.models"].ContentType.objects


def instance_models(klass_info: dict[str, Any] | None) -> Iterator[type[models.Model]]:
    """Yield the models of the instances that Django's compiler describes so."""
    if klass_info is not None:
        yield klass_info["model"]
        for related in klass_info.get("related_klass_infos", ()):
            yield from instance_models(related)


@cache
def is_generic(model: Any) -> bool:
    """Return whether a model has a generic relation or a generic foreign key."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return False
    from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation

    fields = model._meta.private_fields
    return any(isinstance(field, GenericForeignKey | GenericRelation) for field in fields)


async def _rows(driver: Any, table: str, columns: str) -> list[Any]:
    # The table may be in another database, and an error would end the caller's transaction.
    found = await (await driver.execute("SELECT to_regclass(%s)", [table])).fetchone()
    if found == (None,):
        return []
    rows: list[Any] = await (await driver.execute(f"SELECT {columns} FROM {table}")).fetchall()
    return rows


class ContentTypeKey(Value):
    """The key of a generic relation's content type, which is looked up when it is compiled."""

    def __init__(self, relation: Any, field: Any) -> None:
        super().__init__(None, output_field=field.target_field)
        self.relation = relation

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        key = self.relation.get_content_type().pk
        return "%s", [self.output_field.get_db_prep_value(key, connection)]


def restricting(djangos: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``GenericRelation.get_extra_restriction()``, to work in plain code, too."""

    @wraps(djangos)
    def get_extra_restriction(self: Any, alias: Any, remote_alias: Any) -> Any:
        try:
            return djangos(self, alias, remote_alias)
        except SynchronousOnlyOperation:
            field = self.remote_field.model._meta.get_field(self.content_type_field_name)
            key = ContentTypeKey(self, field)
            lookup = field.get_lookup("exact")(field.get_col(remote_alias), key)
            return WhereNode([lookup], connector=AND)

    return get_extra_restriction
