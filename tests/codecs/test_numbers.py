"""What Django's converters of numbers make of values of each type, in place of the driver's."""

import pytest
from django.db import models

from tests.support.selecting import selected

# Values of types, by what they are written as
NUMBERS = {
    "numeric": ["1.5", "-0.0", "0.1", "1e-400", "1e400", "NaN", "-Infinity", "-7", "1" * 5000],
    "float8": ["1.5", "-0.0", "0.1", "5e-324", "1e300", "NaN", "Infinity", "-Infinity", "-7"],
    "float4": ["1.5", "0.1", "NaN", "Infinity", "16777217"],
    "int8": ["0", "-9223372036854775808", "9223372036854775807"],
    "int2": ["-32768"],
    "oid": ["4294967295"],
    "bool": ["t", "f"],
    "text": ["1", " 1 ", "1.5", "1e3", "1_0", "NaN", "", "x", "0x1", "\u0661"],
    "money": ["1.50"],
    "numrange": ["[1,2)"],
    "date": ["2024-02-29"],
}
FIELDS = [
    models.IntegerField(),
    models.BigAutoField(),
    models.FloatField(),
    models.DecimalField(max_digits=9, decimal_places=3),
    models.BooleanField(),
]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: type(field).__name__)
@pytest.mark.parametrize("type_name", NUMBERS)
def test_numbers(type_name, field, read):
    """One by one: some cannot be had as a number of that kind."""
    texts = [f"'{value}'" for value in NUMBERS[type_name]]
    answers = read.each(selected(f"{text}::{type_name}", field).all for text in (*texts, "NULL"))
    assert len(answers) == len(texts) + 1
    assert answers[-1]["returned"][2] == [(type(None), None)]
