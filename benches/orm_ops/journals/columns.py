"""The large journal's columns: four times eight, by which each ORM makes its own model."""

from collections.abc import Callable, Iterator
from decimal import Decimal
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
