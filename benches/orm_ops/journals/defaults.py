"""The defaults of the large journal's columns."""

from decimal import Decimal
from typing import Any

FLOAT = 2.2
SMALLINT = 2
INT = 2_000_000
BIGINT = 99_999_999
CHAR = "value1"
TEXT = "Moo,Foo,Baa,Waa,Moo,Foo,Baa,Waa,Moo,Foo,Baa,Waa"
DECIMAL = Decimal("2.2")


def json() -> dict[str, Any]:
    """Return a new value each time, since it is mutable."""
    return {"a": 1, "b": "b", "c": [2], "d": {"e": 3}, "f": True}
