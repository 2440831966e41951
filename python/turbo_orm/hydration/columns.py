"""Decides how each column of a result is read, and which of Django's converters still run.

A converter that would make of each value what a native decoder can make at once is left out: that
of a plain ``JSONField``, and those by which Django sees to the type of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.db.models import DecimalField, FloatField, IntegerField, JSONField, Value
from django.db.models.expressions import Col, ColPairs

from turbo_orm._core import Column, Decoder
from turbo_orm.codecs.decoders import Choice, Decoders

type Converter = Callable[[Any, Any, Any], Any]

_TEXT, _JSON, _INT, _FLOAT = (Decoder(name) for name in ("text", "json", "int", "float"))


class Selected(NamedTuple):
    """A column that a compiler selects."""

    name: str
    expression: Any
    converters: Sequence[Converter]


def selected(compiler: Any) -> list[Selected]:
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


def raw_selected(queryset: Any, connection: Any) -> list[Selected]:
    """Return the columns of an executed raw query. Those that are no field convert nothing."""
    compiler = connection.ops.compiler("SQLCompiler")(queryset.query, connection, queryset.db)
    fields = [queryset.model_fields.get(name) for name in queryset.columns]
    expressions = [field and field.get_col(field.model._meta.db_table) for field in fields]
    converters = compiler.get_converters(expressions)
    return _with_converters(queryset.columns, converters)


def _with_converters(names: list[str], converters: dict[int, Any]) -> list[Selected]:
    columns = [Selected(name, None, ()) for name in names]
    for index, (functions, expression) in converters.items():
        columns[index] = Selected(names[index], expression, functions)
    return columns


def result_columns(
    selected: Sequence[Selected], connection: Any, driver_cursor: Any, pgresult: Any
) -> list[Column]:
    """Describe the columns of a ``PGresult``, as many as are selected."""
    return described(selected, choices(selected, Decoders(driver_cursor), pgresult), connection)


def described(
    selected: Sequence[Selected], chosen: Sequence[Choice], connection: Any
) -> list[Column]:
    """Describe the columns whose values are read in the ways that were chosen."""
    return [
        _column(column, choice, connection)
        for column, choice in zip(selected, chosen, strict=True)
    ]


def row_columns(selected: Sequence[Selected], connection: Any) -> list[Column]:
    """Describe the columns of row tuples that a cursor has loaded."""
    return [_column(column, Choice(_TEXT, _as_it_is, ""), connection) for column in selected]


def choices(selected: Sequence[Selected], decoders: Decoders, pgresult: Any) -> list[Choice]:
    """Return how the values of the columns that are selected are read."""
    return [
        decoders.choose(pgresult.ftype(index), pgresult.fformat(index))
        for index in range(len(selected))
    ]


def _column(selected: Selected, choice: Choice, connection: Any) -> Column:
    name, expression, converters = selected
    if not converters:
        return Column(name, choice.decoder, choice.load)
    converting = converting_decoder(choice.decoder, converters)
    return Column(
        name,
        converting or choice.decoder,
        choice.load,
        converters=[(converter, expression) for converter in converters],
        connection=connection,
        decoder_converts=converting is not None,
    )


def converting_decoder(decoder: Decoder, converters: Sequence[Converter]) -> Decoder | None:
    """Return the decoder that does what one and the only converter would after it, if any."""
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


def _as_it_is(value: Any) -> Any:
    return value


def _is_plain_json(converter: Any) -> bool:
    """Return whether a converter is that of a JSONField which decodes with ``json.loads()``."""
    return (
        getattr(converter, "__func__", None) is JSONField.from_db_value
        and converter.__self__.decoder is None
    )


# The code of the functions by which Django makes a number of what an expression gives.
_NUMBER_CONVERTERS: dict[Any, str] = {
    Value(None, output_field=field).convert_value.__code__: name
    for field, name in (
        (IntegerField(), "int"),
        (FloatField(), "float"),
        (DecimalField(), "numeric"),
    )
}
