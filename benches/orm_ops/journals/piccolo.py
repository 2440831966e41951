"""The journals as Piccolo has them."""

from __future__ import annotations

from piccolo.columns import (
    JSONB,
    M2M,
    BigInt,
    DoublePrecision,
    ForeignKey,
    Integer,
    LazyTableReference,
    Numeric,
    Serial,
    SmallInt,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from benches.orm_ops.journals import defaults


class Journal(Table):
    id = Serial(primary_key=True)
    timestamp = Timestamptz()
    level = SmallInt(index=True)
    text = Varchar(length=255, index=True)


class Journal1(Journal, tablename="journals_journal1"):
    pass


class Journal2(Journal, tablename="journals_journal2"):
    parent_id = ForeignKey("self", null=True)
    related = M2M(LazyTableReference("Related", module_path=__name__))


class Related(Table, tablename="journals_journal2_related"):
    from_journal2_id = ForeignKey(Journal2)
    to_journal2_id = ForeignKey(Journal2)


class Journal3(Journal, tablename="journals_journal3"):
    col_float1 = DoublePrecision(default=defaults.FLOAT)
    col_smallint1 = SmallInt(default=defaults.SMALLINT)
    col_int1 = Integer(default=defaults.INT)
    col_bigint1 = BigInt(default=defaults.BIGINT)
    col_char1 = Varchar(length=255, default=defaults.CHAR)
    col_text1 = Text(default=defaults.TEXT)
    col_decimal1 = Numeric(digits=(12, 8), default=defaults.DECIMAL)
    col_json1 = JSONB(default=defaults.json)

    col_float2 = DoublePrecision(null=True, default=None)
    col_smallint2 = SmallInt(null=True, default=None)
    col_int2 = Integer(null=True, default=None)
    col_bigint2 = BigInt(null=True, default=None)
    col_char2 = Varchar(length=255, null=True, default=None)
    col_text2 = Text(null=True, default=None)
    col_decimal2 = Numeric(digits=(12, 8), null=True, default=None)
    col_json2 = JSONB(null=True, default=None)

    col_float3 = DoublePrecision(default=defaults.FLOAT)
    col_smallint3 = SmallInt(default=defaults.SMALLINT)
    col_int3 = Integer(default=defaults.INT)
    col_bigint3 = BigInt(default=defaults.BIGINT)
    col_char3 = Varchar(length=255, default=defaults.CHAR)
    col_text3 = Text(default=defaults.TEXT)
    col_decimal3 = Numeric(digits=(12, 8), default=defaults.DECIMAL)
    col_json3 = JSONB(default=defaults.json)

    col_float4 = DoublePrecision(null=True, default=None)
    col_smallint4 = SmallInt(null=True, default=None)
    col_int4 = Integer(null=True, default=None)
    col_bigint4 = BigInt(null=True, default=None)
    col_char4 = Varchar(length=255, null=True, default=None)
    col_text4 = Text(null=True, default=None)
    col_decimal4 = Numeric(digits=(12, 8), null=True, default=None)
    col_json4 = JSONB(null=True, default=None)
