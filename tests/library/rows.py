"""What is in the tables of ``fields``, ``kinds`` and ``lineage``: corners of each type."""

import datetime
import math
import uuid
from datetime import UTC, timedelta
from decimal import Decimal

from django.contrib.postgres.search import SearchVector
from psycopg.types.range import Range

from tests.library import fields, kinds, lineage

MOMENT = datetime.datetime(2024, 2, 29, 12, 30, 15, 123000, tzinfo=UTC)
AWKWARD = ["", " ", "NULL", "null", ",", '"', "\\", '\\"', "{}", "{a,b}", "'", "a b", "ü€𝄞", "\n"]

ROWS = {
    fields.Whole: [
        {},
        {"positive_small": 0, "positive": 0, "positive_big": 0, "chosen": 1, "elsewhere": -1},
        {"positive_small": 16383, "positive": 2**31 - 1, "positive_big": 2**63 - 1, "chosen": 3},
    ],
    fields.Lettered: [
        {},
        {
            "url": "https://example.com/ü?a=1#b",
            "path": "/etc/hosts",
            "suit": fields.Suit.SPADES,
            "collated": "straße",
            "any_address": "::ffff:10.0.0.1",
            "old_address": "10.0.0.1",
        },
        {"suit": "x", "collated": "", "any_address": "2001:db8::1", "url": ""},
        {"any_address": "::ffff:10.0.0.1"},
    ],
    fields.Picture: [{}, {"image": "a.png", "width": 3, "height": 4}, {"width": 5}],
    fields.Attachment: [{}, {"image": "a.png", "file": "files/b.txt"}, {"image": "", "file": ""}],
    fields.Structured: [
        {},
        *(
            {"plain": value, "encoded": value, "exact": value}
            for value in [
                {"a": [1, 2.50, None, True], "b": {"": {}}},
                [0.1, 1e300, -0.0, 10**30],
                "text",
                7.0,
                False,
                [],
                "",
            ]
        ),
        {"encoded": {"at": MOMENT, "of": Decimal("1.10"), "for": timedelta(days=1)}},
        {"exact": [Decimal("0.1"), uuid.UUID(int=7)]},
    ],
    fields.Language: [{"code": code, "name": f"{code}-speak"} for code in ["en", "", "ü", "x y"]],
    fields.Grammar: [{"language_id": "en", "year": 1586}, {"language_id": "x y", "year": 0}],
    fields.Chapter: [
        {"grammar_id": code, "title": f"{code} {title}"}
        for code in ["en", "x y"]
        for title in ["nouns", "verbs"]
    ],
    fields.Speaker: [
        {"first_id": "en"},
        {"first_id": "ü", "second_id": "en-speak", "teacher_id": 1},
        {"first_id": "x y", "second_id": "x y-speak", "teacher_id": 2},
    ],
    fields.OrderLine: [
        {"shop": 0, "number": 2},
        {"shop": 1, "number": 1},
        {"shop": None, "number": 1},
        {"shop": 0, "number": 2},
    ],
    fields.Arrays: [
        {},
        {
            field.attname: []
            for field in fields.Arrays._meta.concrete_fields
            if field.attname != "id"
        },
        {
            "smalls": [-32768, 0, 32767],
            "integers": [-(2**31), None, 2**31 - 1],
            "bigs": [-(2**63), 2**63 - 1],
            "reals": [0.1, -0.0, math.inf, -math.inf, math.nan, 5e-324, None],
            "amounts": [Decimal("1.5000"), None, Decimal("-0.0001")],
            "flags": [True, False, None],
            "texts": [*AWKWARD, None],
            "chars": ["a", None, "NULL"],
            "emails": ["a@example.com"],
            "dates": [datetime.date(1, 1, 1), None, datetime.date(9999, 12, 31)],
            "times": [datetime.time(0), datetime.time(23, 59, 59, 999999), None],
            "moments": [MOMENT, None, MOMENT.replace(year=9996), MOMENT.replace(year=4)],
            "spans": [timedelta(days=-1, microseconds=1), None, timedelta(days=400)],
            "keys": [uuid.UUID(int=0), None, uuid.UUID(int=2**128 - 1)],
            "blobs": [b"", None, b'\x00\xff\\"{},'],
            "addresses": ["10.0.0.1", None, "2001:db8::1"],
            "documents": [{"a": [1, '"', "\\", None]}, None, [], "text", 1.5, "{}"],
            "exact_documents": [{"a": 1.50}, None, 0.1],
            "ranges": [Range(1, 5), None, Range(empty=True), Range(None, None)],
            "periods": [Range(MOMENT, None), Range(None, MOMENT, "()"), None],
            "matrix": [[1, 2], [None, 4], [5, 6]],
            "words": [[["a", ""], ["NULL", None]], [["{", "}"], ['"', "\\"]]],
        },
        {"texts": [None], "matrix": [[1]], "words": [[["x"]]], "flags": [None], "keys": [None]},
    ],
    fields.Ranges: [
        {},
        {
            field.attname: Range(empty=True)
            for field in fields.Ranges._meta.concrete_fields
            if field.attname != "id"
        },
        {
            field.attname: Range(None, None)
            for field in fields.Ranges._meta.concrete_fields
            if field.attname != "id"
        },
        {
            "integers": Range(1, 5, "[]"),
            "bigs": Range(-(2**63), 2**63 - 1),
            "amounts": Range(Decimal("-0.10"), Decimal("12345678901234567890.5"), "(]"),
            "dates": Range(datetime.date(2024, 2, 28), datetime.date(2024, 2, 29), "[]"),
            "moments": Range(MOMENT, MOMENT + timedelta(microseconds=1), "[]"),
        },
        {
            "integers": Range(None, 5),
            "bigs": Range(5, None, "()"),
            "amounts": Range(Decimal("-Infinity"), Decimal("Infinity"), "()"),
            "dates": Range(datetime.date(1, 1, 1), None),
            "moments": Range(None, MOMENT, "(]"),
        },
    ],
    fields.Searched: [{"text": ""}, {"text": "The quick brown fox"}, {"text": "it's a: \\ test"}],
    kinds.Converting: [
        {},
        {
            "both": "abc",
            "secret": "a secret, ü",
            "colour": kinds.Colour.BLUE,
            "traced": "trace",
            "nameless": "named",
        },
    ],
    kinds.Keyed: [{"key": "a", "name": "one"}, {"key": "key a", "name": "another"}],
    kinds.Strict: [{"name": "strict"}],
    kinds.Lock: [
        {},
        {"keyed_id": "a", "strict_id": 1},
        {"keyed_id": "key a"},
        {"keyed_id": "missing"},
    ],
    kinds.WithFromDbBelow: [
        {"name": f"below {i}", "parent_id": [None, 1, 1][i]} for i in range(3)
    ],
    lineage.Region: [{"name": name, "facts": {"of": [name]}} for name in ["north", "south"]],
    lineage.Building: [
        {"name": f"building {i}", "region_id": [1, 2, None][i], "facts": {"n": [i]}}
        for i in range(3)
    ],
    lineage.Inn: [
        {"name": f"inn {i}", "rooms": i, "region_id": 1, "rival_id": [None, 4][i]}
        for i in range(2)
    ],
    lineage.Palace: [
        {"name": f"palace {i}", "towers": i, "rival_id": 4, "twin_id": [None, 1, 4][i]}
        for i in range(3)
    ],
    lineage.Lighthouse: [{"name": f"light {i}", "height": i, "fame": 10 * i} for i in range(2)],
    lineage.Cottage: [{"name": f"cottage {i}", "region_id": 2} for i in range(2)],
    lineage.Ticketed: [{"number": i, "building_id": 1 + i} for i in range(2)],
    lineage.Tour: [
        {"building_id": 1},
        {"building_id": 4, "inn_id": 4, "next_id": 1},
        {"building_id": 6, "inn_id": 6, "palace_id": 6, "next_id": 2},
        {"building_id": 9, "inn_id": 5, "palace_id": 7},
    ],
    **{
        model: [{"name": f"of its own {i}"} for i in range(3)]
        for model in kinds.OF_THEIR_OWN
        if not model._meta.proxy and model is not kinds.WithFromDbBelow
    },
}

# In those that have types of extensions
EXTENDED = {
    fields.Bag: [
        {},
        {"data": {}, "many": []},
        {"data": {"a": "1", "": None, "NULL": "NULL"}, "many": [{"a": None}, None, {}]},
        {"data": {text: text for text in AWKWARD}, "many": [{"k": text} for text in AWKWARD]},
    ],
    fields.Insensitive: [{}, {"name": "Ada", "names": ["B", None, *AWKWARD]}, {"names": []}],
}


def fill() -> None:
    for model, rows in ROWS.items():
        for row in rows:
            model.objects.create(**row)
    fields.Searched.objects.exclude(text="").update(vector=SearchVector("text"))
