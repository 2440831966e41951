"""Django's compiler of inserts, which has the values of many instances written natively.

Django writes ``INSERT … SELECT * FROM UNNEST(%s, …)``, with a list of values for each column. The
statement stays Django's, and so does all that is done before and after it; only the lists become
the text of **arrays**. To prepare and dump value by value takes most of the time of a bulk insert.
The list stays Django's where a field has no native encoder, or that declines one of the values.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.compiler import InsertUnnest, SQLInsertCompiler
from django.db.models import Field
from django.db.models.expressions import DatabaseDefault

from turbo_orm.backend.arrays import array_literal, instance_dicts
from turbo_orm.codecs.encoders import encoders
from turbo_orm.codecs.fields import pre_saves_repeatedly


class InsertCompiler(SQLInsertCompiler):
    """Compiles an insert of several instances with an array for each column."""

    # The parameter of each field while Django writes the statement: an array or a list of all
    # values, or the ``DatabaseDefault`` that all instances have.
    _parameters: dict[Any, Any] | None = None
    # Whether Django has written the last statement with UNNEST.
    _is_unnested = False

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        """Compile as Django does, but for two instances without values, with arrays for params."""
        query: Any = self.query
        parameters = self._column_parameters() if len(query.objs) > 1 and not query.raw else None
        if parameters is None:
            return super().as_sql(*args, **kwargs)
        self._parameters, objs, query.objs = parameters, query.objs, query.objs[:2]
        try:
            [(statement, params)] = super().as_sql(*args, **kwargs)
        finally:
            self._parameters, query.objs = None, objs
        sent = tuple(
            [each for each in parameters.values() if not isinstance(each, DatabaseDefault)]
        )
        # One list of Django's for each array, and no parameter of another kind.
        if not self._is_unnested or len(params) != len(sent):
            return super().as_sql(*args, **kwargs)
        return [(statement, sent)]

    def pre_save_val(self, field: Any, obj: Any) -> Any:
        if self._parameters is None:
            return super().pre_save_val(field, obj)
        value = self._parameters[field]
        return value if isinstance(value, DatabaseDefault) else None

    def prepare_value(self, field: Any, value: Any) -> Any:
        return value if self._parameters is not None else super().prepare_value(field, value)

    def assemble_as_sql(self, fields: Any, value_rows: Any) -> Any:
        placeholders, params = super().assemble_as_sql(fields, value_rows)
        self._is_unnested = isinstance(placeholders, InsertUnnest)
        return placeholders, params

    def _column_parameters(self) -> dict[Any, Any] | None:
        """Return the parameter of each field: the text of an array, Django's list, or a default.

        Return ``None`` where Django has to write all of the statement, or no array is native.
        """
        query: Any = self.query
        fields, model = query.fields, query.model
        rows = instance_dicts(model, query.objs)
        if rows is None or self.connection.connection is None or not all(map(_unnests, fields)):
            return None
        parameters: dict[Any, Any] = {}
        for field, encoder in zip(fields, encoders(model, fields, self.connection), strict=True):
            if _is_left_to_database(field, rows):
                parameters[field] = rows[0][field.attname]
                continue
            values: Any = self._array(field, encoder, rows)
            if values is None:
                values = self._list(field)
            if values is None:
                return None
            parameters[field] = values
        return parameters if any(isinstance(each, str) for each in parameters.values()) else None

    def _array(self, field: Any, encoder: Any, rows: list[dict[str, Any]]) -> str | None:
        if encoder is None:
            return None
        if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
            for obj in self.query.objs:
                field.pre_save(obj, add=True)
        return array_literal(encoder, rows, field.attname)

    def _list(self, field: Any) -> list[Any] | None:
        """Return the list that Django makes, or ``None`` if it makes an expression, or raises.

        Django's versions prepare values in different orders, so that which exception is raised
        first is left to Django.
        """
        try:
            values = [self.pre_save_val(field, obj) for obj in self.query.objs]
            if any(hasattr(value, "as_sql") for value in values):
                return None
            values = [self.prepare_value(field, value) for value in values]
        except Exception:
            return None
        return None if any(hasattr(value, "as_sql") for value in values) else values


def _unnests(field: Field[Any, Any]) -> bool:
    """Return whether a field's values may go into an array, and ``pre_save()`` be called twice."""
    has_placeholder = hasattr(field, "get_placeholder_sql") or hasattr(field, "get_placeholder")
    return pre_saves_repeatedly(field) and not has_placeholder


def _is_left_to_database(field: Field[Any, Any], rows: list[dict[str, Any]]) -> bool:
    return field.has_db_default() and all(
        isinstance(row.get(field.attname), DatabaseDefault) for row in rows
    )
