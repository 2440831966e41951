"""The native core's description of a result's columns: their decoders and Django's converters.

A converter is omitted where a native decoder makes of a value what the converter would: that of a
plain ``JSONField``, and those by which Django ensures the type of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.db.models import DecimalField, FloatField, IntegerField, JSONField, Value
from django.db.models.expressions import Col, ColPairs

from turbo_orm._core import Column, Decoder
from turbo_orm.codecs.decoders import Decoders, ValueReader

type Converter = Callable[[Any, Any, Any], Any]

_TEXT, _JSON, _INT, _FLOAT = (Decoder(name) for name in ("text", "json", "int", "float"))


class SelectedColumn(NamedTuple):
    """A column that a compiler selects; the converters are called with its expression."""

    name: str
    expression: Any
    converters: Sequence[Converter]


def selected_columns(compiler: Any) -> list[SelectedColumn]:
    """Return the columns that a compiler selects, in their order in a row."""
    select = compiler.select[: compiler.col_count]
    converters = compiler.get_converters([expression for expression, _, _ in select])
    names: list[str] = []
    for expression, _, alias in select:
        if alias is None and type(expression) is Col:
            names.append(expression.target.attname)
        elif isinstance(expression, ColPairs):
            names.extend(target.attname for target in expression.targets)
        else:
            target = getattr(expression, "target", None)
            names.append(alias or getattr(target, "attname", None) or f"column {len(names)}")
    return _with_converters(names, converters)


def aggregate_columns(
    compiler: Any, names: list[str], expressions: Sequence[Any]
) -> list[SelectedColumn]:
    """Return the columns of aggregates with these names."""
    return _with_converters(names, compiler.get_converters(expressions))


def raw_selected_columns(queryset: Any, connection: Any) -> list[SelectedColumn]:
    """Return the columns of an executed raw query: with converters where the model has a field."""
    compiler = connection.ops.compiler("SQLCompiler")(queryset.query, connection, queryset.db)
    fields = [queryset.model_fields.get(name) for name in queryset.columns]
    expressions = [field and field.get_col(field.model._meta.db_table) for field in fields]
    converters = compiler.get_converters(expressions)
    return _with_converters(queryset.columns, converters)


def _with_converters(names: list[str], converters: dict[int, Any]) -> list[SelectedColumn]:
    columns = [SelectedColumn(name, None, ()) for name in names]
    for index, (functions, expression) in converters.items():
        columns[index] = SelectedColumn(names[index], expression, functions)
    return columns


def result_columns(
    selected: Sequence[SelectedColumn], connection: Any, driver_cursor: Any, pgresult: Any
) -> list[Column]:
    """Describe the columns of a ``PGresult``, as many as are selected."""
    readers = value_readers(selected, Decoders(driver_cursor), pgresult)
    return read_columns(selected, readers, connection)


def read_columns(
    selected: Sequence[SelectedColumn], readers: Sequence[ValueReader], connection: Any
) -> list[Column]:
    """Describe columns with a reader each. ``connection`` is Django's, which converters get."""
    return [
        _column(column, reader, connection)
        for column, reader in zip(selected, readers, strict=True)
    ]


def row_columns(selected: Sequence[SelectedColumn], connection: Any) -> list[Column]:
    """Describe the columns of row tuples, whose values a cursor has loaded."""
    loaded = ValueReader(_TEXT, _identity, "")
    return [_column(column, loaded, connection) for column in selected]


def value_readers(
    selected: Sequence[SelectedColumn], decoders: Decoders, pgresult: Any
) -> list[ValueReader]:
    """Return how the values of the selected columns are read from a ``PGresult``."""
    return [
        decoders.reader(pgresult.ftype(index), pgresult.fformat(index))
        for index in range(len(selected))
    ]


def _column(selected: SelectedColumn, reader: ValueReader, connection: Any) -> Column:
    name, expression, converters = selected
    if not converters:
        return Column(name, reader.decoder, reader.load)
    converting = converting_decoder(reader.decoder, converters)
    return Column(
        name,
        converting or reader.decoder,
        reader.load,
        converters=[(converter, expression) for converter in converters],
        connection=connection,
        decoder_converts=converting is not None,
    )


def converting_decoder(decoder: Decoder, converters: Sequence[Converter]) -> Decoder | None:
    """Return the decoder that does what a column's only converter would do after ``decoder``.

    Return ``None`` if there is none, or not just one converter.
    """
    if len(converters) != 1:
        return None
    converter: Any = converters[0]
    if _is_plain_json(converter):
        return _JSON if decoder.name == "text" and not decoder.binary else None
    kind = _NUMBER_CONVERTERS.get(getattr(converter, "__code__", None))
    match decoder.name, kind:
        case ("int", "int") | ("float", "float") | ("numeric", "numeric"):
            return decoder
        case "numeric", "int" if not decoder.binary:
            return _INT
        case "numeric", "float" if not decoder.binary:
            return _FLOAT
    return None


def _identity(value: Any) -> Any:
    return value


def _is_plain_json(converter: Any) -> bool:
    """Return whether a converter is that of a JSONField which decodes with ``json.loads()``."""
    return (
        getattr(converter, "__func__", None) is JSONField.from_db_value
        and converter.__self__.decoder is None
    )


# By the code of the functions that convert the numbers of Django's expressions: the decoder.
_NUMBER_CONVERTERS: dict[Any, str] = {
    Value(None, output_field=field).convert_value.__code__: name
    for field, name in (
        (IntegerField(), "int"),
        (FloatField(), "float"),
        (DecimalField(), "numeric"),
    )
}
