"""Lists as JSON: by Django's encoder, by orjson of psycopg's dicts, and by turbo-orm."""

import json
from typing import Any

import orjson
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model
from psycopg.rows import dict_row
from psycopg.types.json import JsonbLoader, set_json_loads

from benches import names
from benches.lists.contenders import drivers, orm
from benches.lists.contenders.reader import Query
from benches.lists.shape import Shape


class DjangoEncoder(orm.DjangoSync):
    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        objects, queryset = self.objects(model), shape.queryset

        def encode() -> Any:
            return json.dumps(list(queryset(objects)[:rows]), cls=DjangoJSONEncoder).encode()

        return encode


class PsycopgOrjson(drivers.Psycopg):
    name = names.PSYCOPG_ORJSON

    async def open(self) -> None:
        await super().open()
        self.connection.adapters.register_loader("jsonb", JsonbLoader)
        set_json_loads(orjson.loads, self.connection)

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        sql = self.statement(model, shape, rows)

        async def encode() -> Any:
            cursor = self.connection.cursor(row_factory=dict_row)
            await cursor.execute(sql)
            # The rest of what is selected is what orjson writes itself.
            return orjson.dumps(await cursor.fetchall(), default=str)

        return encode


class TurboJson(orm.Turbo):
    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        objects: Any = self.objects(model)
        return lambda: objects.values()[:rows].ajson()
