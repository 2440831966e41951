"""Strategies for conditions: paths to fields of every type, lookups, and values of every kind.

A condition is drawn with two values of the same kind, of which either can be asked for.
"""

import datetime
import enum
import uuid
from decimal import Decimal

from django.db.models import F, Q
from hypothesis import strategies as st
from psycopg.types.range import Range

from tests.library import fields, lineage
from tests.library import models as m


class Number(enum.IntEnum):
    ONE = 1
    MANY = 2**40


UTC = datetime.UTC
MOMENTS = [
    datetime.datetime(2003, 4, 1, 12, 3, tzinfo=UTC),
    datetime.datetime(2024, 2, 29, 13, 30, 15, 123000, tzinfo=datetime.timezone.min),
    datetime.datetime.max.replace(tzinfo=UTC),
]
NUMBERS = [0, 1, 2, 37, -1, 2**15, 2**31 - 1, 2**31, -(2**31) - 1, 2**63, -(2**70)]
TEXTS = ["", "a", "1", "Book 1", "en", "%", "_\\", "ü€", "2024-02-29", "true", "(", "\0", "x" * 60]

# The values of one kind stand together: each pair of them has the same structure.
KINDS = {
    "int": NUMBERS,
    "str": TEXTS,
    "float": [0.0, -0.0, 1.5, 1e300, float("inf"), float("nan")],
    "decimal": [Decimal("1"), Decimal("1.00"), Decimal("-0"), Decimal("1E-10"), Decimal("NaN")],
    "date": [datetime.date(2024, 2, 29), datetime.date(1, 1, 1), datetime.date(9999, 12, 31)],
    "time": [datetime.time(1, 2, 3, 400000), datetime.time(0), datetime.time(12, tzinfo=UTC)],
    "datetime": MOMENTS,
    "naive": [datetime.datetime(2003, 4, 1, 12, 3), datetime.datetime(2024, 2, 29)],
    "timedelta": [datetime.timedelta(0), datetime.timedelta(days=-1, microseconds=1)],
    "uuid": [uuid.UUID(int=0), uuid.UUID(int=7)],
    "bytes": [b"", b"\\x00", bytes(range(256))],
    "bool": [True, False],
    "null": [None],
    "enum": [Number.ONE, Number.MANY],
    "text enum": [*fields.Suit],
    "ints": [[1, 2], [37, 37], [2**31, 1], [0, -(2**70)]],
    "int and null": [[1, None], [2**40, None], [37, None]],
    "tuple": [(1, 2), (5, 0), (3, 3)],
    "texts": [["a", "b"], ["b", "b"], ["tag-1", ""]],
    "set": [{"a"}, {"b"}],
    "frozenset": [frozenset({1}), frozenset({2**70})],
    "empty": [[], [], ()],
    "odd list": [[1, "x"], [2, "1"]],
    "nested": [[[1]], [[2]]],
    "dict": [{"a": 1}, {}],
    "range": [Range(1, 5), Range(2, None)],
    "author": [m.Author(pk=1), m.Author(pk=3), m.Author(), m.Author(pk="x")],
    "language": [fields.Language(code="en", name="en-speak"), fields.Language(code="ü")],
    "order": [m.Order(shop=0, number=2), m.Order(shop=1, number=1), m.Order(shop=1)],
    "inn": [lineage.Inn(pk=2), lineage.Inn()],
    "F": [F("pk"), F("nothing"), F("pk") + 1],
}

COMPARED = ["exact", "gt", "gte", "lt", "lte", "in", "range", "isnull"]
WRITTEN = [
    "exact",
    "iexact",
    "contains",
    "icontains",
    "startswith",
    "iendswith",
    "regex",
    "iregex",
]
DATES = ["year", "iso_year", "quarter", "month", "week", "week_day", "day", "year__gte", "day__in"]
TIMES = ["hour", "minute__lt", "second"]
INSIDE = ["a", "a__0", "a__b__gt", "a__in", "a__icontains", "a__isnull", "contains", "has_key"]
INSIDE += ["contained_by", "has_keys", "has_any_keys", "exact", "isnull", "in"]
OF_ARRAYS = ["exact", "contains", "contained_by", "overlap", "len", "len__gt", "0", "0_1", "in"]
OF_RANGES = ["exact", "contains", "overlap", "fully_lt", "adjacent_to", "isempty", "startswith"]

# Lookups by paths, with the kinds of values that are right. Others are refused, or match nothing.
PATHS = {
    m.Book: [
        (["pk", "pages", "id", "tags", "tags__pk"], COMPARED + WRITTEN, ["int", "ints", "str"]),
        (["title", "author__name", "tags__label", "notes__text"], COMPARED + WRITTEN, ["str"]),
        (["author", "translator", "author__friends"], ["exact", "in", "isnull", "gt"], ["author"]),
        (["author_id", "author__pk", "author__profile__id"], COMPARED, ["int", "str", "enum"]),
        (["published"], [*COMPARED, *DATES, *TIMES, "date", "time__gt"], ["datetime", "naive"]),
        (["published__year", "published__date__month"], COMPARED, ["int", "str", "ints"]),
    ],
    m.Sample: [
        (["small", "integer", "big"], COMPARED + WRITTEN, ["int", "float", "ints", "enum"]),
        (["real", "amount"], COMPARED, ["float", "decimal", "int"]),
        (["text", "char", "slug", "email", "upload"], COMPARED + WRITTEN, ["str", "text enum"]),
        (["flag"], ["exact", "in", "isnull"], ["bool", "str", "int"]),
        (["date"], COMPARED + DATES, ["date", "str", "datetime"]),
        (["time"], COMPARED + TIMES, ["time", "str"]),
        (["moment"], [*COMPARED, *DATES, *TIMES, "date"], ["datetime", "naive", "date", "str"]),
        (["span"], COMPARED, ["timedelta", "str"]),
        (["key"], [*COMPARED, "icontains"], ["uuid", "str"]),
        (["data"], INSIDE, ["str", "int", "dict", "texts", "set", "bool", "null", "float"]),
        (["blob"], COMPARED, ["bytes"]),
        (["address"], COMPARED + WRITTEN, ["str"]),
    ],
    fields.Whole: [(["positive_small", "calculated", "elsewhere", "pk"], COMPARED, ["int"])],
    fields.Lettered: [(["suit", "url", "any_address", "upper"], WRITTEN, ["text enum", "str"])],
    fields.Structured: [(["plain", "encoded", "exact"], INSIDE, ["str", "int", "dict", "ints"])],
    fields.Arrays: [
        (["integers", "bigs", "amounts"], OF_ARRAYS, ["ints", "int", "tuple", "nested", "empty"]),
        (["texts", "chars", "emails"], OF_ARRAYS, ["texts", "str", "set"]),
    ],
    fields.Ranges: [(["integers", "bigs", "amounts"], OF_RANGES, ["int", "tuple", "range"])],
    fields.Speaker: [
        (["first", "second", "second__name", "pupils__second"], COMPARED, ["language", "str"])
    ],
    m.Order: [(["pk", "lines", "shop"], ["exact", "in", "gt"], ["tuple", "order", "int"])],
    fields.OrderLine: [(["order", "order__total"], ["exact", "in"], ["order", "tuple", "int"])],
    lineage.Palace: [
        (["name", "region__name", "twin__name"], WRITTEN, ["str"]),
        (["rival", "twin", "pk", "rivals"], ["exact", "in", "isnull"], ["inn", "int"]),
    ],
}


# What is a value of a lookup, where it is none of the field.
LISTS = {"in", "range", "has_keys", "has_any_keys", "overlap"}
PARTS = {*DATES, *TIMES, "len", "len__gt"}


@st.composite
def conditions(draw, model):
    """Draw a function of 0 or 1, which returns the condition with the one value or the other."""
    paths, lookups, right = draw(st.sampled_from(PATHS[model]))
    name = draw(st.sampled_from(paths))
    if lookup := draw(st.sampled_from(["", *lookups])):
        name += f"__{lookup}"
    last = lookup.rsplit("__", 1)[-1]
    if draw(st.integers(0, 5)) == 5:
        values = st.sampled_from(KINDS[draw(st.sampled_from([*KINDS]))])
    elif last == "isnull":
        values = st.just(draw(st.booleans()))
    else:
        kind = "int" if lookup in PARTS else draw(st.sampled_from(right))
        values = st.sampled_from(KINDS[kind])
        if last in LISTS and kind not in {"ints", "texts", "tuple", "set"}:
            length = 2 if last == "range" else draw(st.integers(0, 3))
            values = st.lists(values, min_size=length, max_size=length)
    pair = draw(values), draw(values)
    return lambda which: (name, pair[which])


@st.composite
def trees(draw, model, depth=2):
    """Draw a function of 0 or 1, which returns a ``Q``."""
    if depth == 0 or draw(st.booleans()):
        condition = draw(conditions(model))
        return lambda which: Q(condition(which))
    connector = draw(st.sampled_from([Q.AND, Q.OR, Q.XOR]))
    negated = draw(st.booleans())
    children = draw(st.lists(trees(model, depth - 1), min_size=1, max_size=3))
    return lambda which: Q(
        *[child(which) for child in children], _connector=connector, _negated=negated
    )
