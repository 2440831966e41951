"""yara-orm reading lists, with models made of Django's."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db.models import Field, ForeignKey, Model
from yara_orm import Model as YaraModel
from yara_orm import fields

from benches.contenders import yara
from benches.lists.contenders.reader import Query, Reader
from benches.lists.shape import INSTANCES, SELECT_RELATED, VALUES, VALUES_LIST, Shape

_KINDS = {
    "BigAutoField": fields.BigIntField,
    "BigIntegerField": fields.BigIntField,
    "BooleanField": fields.BooleanField,
    "CharField": fields.CharField,
    "DateField": fields.DateField,
    "DateTimeField": fields.DatetimeField,
    "DecimalField": fields.DecimalField,
    "EmailField": fields.CharField,
    "FloatField": fields.FloatField,
    "IntegerField": fields.IntField,
    "JSONField": fields.JSONField,
    "SlugField": fields.CharField,
    "SmallIntegerField": fields.SmallIntField,
    "TextField": fields.TextField,
    "TimeField": fields.TimeField,
    "UUIDField": fields.UUIDField,
}


class Yara(Reader, yara.Yara):
    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        rows_of, names = peer(model), shape.names(model)

        async def query() -> list[Any]:
            match shape:
                case _ if shape is INSTANCES:
                    return await rows_of.all().limit(rows)
                case _ if shape is VALUES:
                    return await rows_of.all().limit(rows).values(*names)
                case _ if shape is VALUES_LIST:
                    return await rows_of.all().limit(rows).values_list(*names)
                case _ if shape is SELECT_RELATED:
                    return await rows_of.all().limit(rows).select_related("owner")
            raise NotImplementedError(shape.name)

        return query


@cache
def peer(model: type[Model]) -> Any:
    """Return yara-orm's model of a table, with the fields of Django's model."""
    meta = type("Meta", (), {"table": model._meta.db_table})
    body: dict[str, Any] = {field.name: _field(field) for field in model._meta.concrete_fields}
    return type(YaraModel)(
        model.__name__, (YaraModel,), {**body, "Meta": meta, "__module__": __name__}
    )


def _field(field: Field[Any, Any]) -> Any:
    if isinstance(field, ForeignKey):
        return fields.ForeignKeyField(peer(field.related_model).__name__, related_name=None)
    options: dict[str, Any] = {"null": field.null, "pk": field.primary_key}
    return _KINDS[type(field).__name__](**options)
