"""The journals as Tortoise has them."""

from __future__ import annotations

from tortoise import Model, fields

from benches.orm_ops.journals import defaults


class Journal(Model):
    id = fields.IntField(primary_key=True)
    timestamp = fields.DatetimeField(auto_now_add=True)
    level = fields.SmallIntField(db_index=True)
    text = fields.CharField(max_length=255, db_index=True)

    class Meta:
        abstract = True


class Journal1(Journal):
    class Meta:
        table = "journals_journal1"


class Journal2(Journal):
    parent = fields.ForeignKeyField("journals.Journal2", related_name="children", null=True)
    related = fields.ManyToManyField(
        "journals.Journal2",
        related_name="related_from",
        through="journals_journal2_related",
        forward_key="to_journal2_id",
        backward_key="from_journal2_id",
    )

    class Meta:
        table = "journals_journal2"


class Journal3(Journal):
    col_float1 = fields.FloatField(default=defaults.FLOAT)
    col_smallint1 = fields.SmallIntField(default=defaults.SMALLINT)
    col_int1 = fields.IntField(default=defaults.INT)
    col_bigint1 = fields.BigIntField(default=defaults.BIGINT)
    col_char1 = fields.CharField(max_length=255, default=defaults.CHAR)
    col_text1 = fields.TextField(default=defaults.TEXT)
    col_decimal1 = fields.DecimalField(max_digits=12, decimal_places=8, default=defaults.DECIMAL)
    col_json1 = fields.JSONField(default=defaults.json)

    col_float2 = fields.FloatField(null=True)
    col_smallint2 = fields.SmallIntField(null=True)
    col_int2 = fields.IntField(null=True)
    col_bigint2 = fields.BigIntField(null=True)
    col_char2 = fields.CharField(max_length=255, null=True)
    col_text2 = fields.TextField(null=True)
    col_decimal2 = fields.DecimalField(max_digits=12, decimal_places=8, null=True)
    col_json2 = fields.JSONField(null=True)

    col_float3 = fields.FloatField(default=defaults.FLOAT)
    col_smallint3 = fields.SmallIntField(default=defaults.SMALLINT)
    col_int3 = fields.IntField(default=defaults.INT)
    col_bigint3 = fields.BigIntField(default=defaults.BIGINT)
    col_char3 = fields.CharField(max_length=255, default=defaults.CHAR)
    col_text3 = fields.TextField(default=defaults.TEXT)
    col_decimal3 = fields.DecimalField(max_digits=12, decimal_places=8, default=defaults.DECIMAL)
    col_json3 = fields.JSONField(default=defaults.json)

    col_float4 = fields.FloatField(null=True)
    col_smallint4 = fields.SmallIntField(null=True)
    col_int4 = fields.IntField(null=True)
    col_bigint4 = fields.BigIntField(null=True)
    col_char4 = fields.CharField(max_length=255, null=True)
    col_text4 = fields.TextField(null=True)
    col_decimal4 = fields.DecimalField(max_digits=12, decimal_places=8, null=True)
    col_json4 = fields.JSONField(null=True)

    class Meta:
        table = "journals_journal3"
