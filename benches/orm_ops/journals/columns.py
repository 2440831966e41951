"""The large journal's columns: four times eight, by which each ORM makes its own model."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from types import ModuleType
from typing import Any

type Default = Any  # a value, or a function that returns a new one


def _json() -> dict[str, Any]:
    """Return a new value each time, since it is mutable."""
    return {"a": 1, "b": "b", "c": [2], "d": {"e": 3}, "f": True}


#: The default of each kind of column.
DEFAULTS: dict[str, Default] = {
    "float": 2.2,
    "smallint": 2,
    "int": 2_000_000,
    "bigint": 99_999_999,
    "char": "value1",
    "text": "Moo,Foo,Baa,Waa,Moo,Foo,Baa,Waa,Moo,Foo,Baa,Waa",
    "decimal": Decimal("2.2"),
    "json": _json,
}


def columns(
    required: Callable[[str, Default], Any], nullable: Callable[[str], Any]
) -> Iterator[tuple[str, Any]]:
    """Yield names and columns: with defaults, nullable, and both once again.

    ``required`` makes a column of a kind with a default, ``nullable`` one without.
    """
    for number in (1, 2, 3, 4):
        for kind, default in DEFAULTS.items():
            column = required(kind, default) if number % 2 else nullable(kind)
            yield f"col_{kind}{number}", column


def columns_of(fields: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield names and columns of Tortoise's ``fields``, or of yara-orm's, which are alike."""
    kinds: dict[str, Callable[..., Any]] = {
        "float": fields.FloatField,
        "smallint": fields.SmallIntField,
        "int": fields.IntField,
        "bigint": fields.BigIntField,
        "char": partial(fields.CharField, max_length=255),
        "text": fields.TextField,
        "decimal": partial(fields.DecimalField, max_digits=12, decimal_places=8),
        "json": fields.JSONField,
    }
    return columns(
        lambda kind, default: kinds[kind](default=default), lambda kind: kinds[kind](null=True)
    )
