"""Three journals: a small one, one that refers to itself, and one of many columns.

Each has three managers, as the tables of the other benchmarks have.
"""

from django.db import models
from django_async_backend.db.models.manager import AsyncManager as BackendManager

from benches.orm_ops.journals import defaults
from turbo_orm import AsyncManager


class Journal(models.Model):
    """What the journals have in common."""

    id = models.AutoField(primary_key=True)
    timestamp = models.DateTimeField(auto_now_add=True)
    level = models.SmallIntegerField(db_index=True)
    text = models.CharField(max_length=255, db_index=True)

    objects = AsyncManager()
    threaded = models.Manager()
    backend = BackendManager()

    class Meta:
        abstract = True


class Journal1(Journal):
    """Small."""


class Journal2(Journal):
    """Small, with relations to itself."""

    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    related = models.ManyToManyField("self", symmetrical=False, related_name="related_from")


class Journal3(Journal):
    """Four times eight columns more: with defaults, nullable, and both once again."""

    col_float1 = models.FloatField(default=defaults.FLOAT)
    col_smallint1 = models.SmallIntegerField(default=defaults.SMALLINT)
    col_int1 = models.IntegerField(default=defaults.INT)
    col_bigint1 = models.BigIntegerField(default=defaults.BIGINT)
    col_char1 = models.CharField(max_length=255, default=defaults.CHAR)
    col_text1 = models.TextField(default=defaults.TEXT)
    col_decimal1 = models.DecimalField(max_digits=12, decimal_places=8, default=defaults.DECIMAL)
    col_json1 = models.JSONField(default=defaults.json)

    col_float2 = models.FloatField(null=True)
    col_smallint2 = models.SmallIntegerField(null=True)
    col_int2 = models.IntegerField(null=True)
    col_bigint2 = models.BigIntegerField(null=True)
    col_char2 = models.CharField(max_length=255, null=True)
    col_text2 = models.TextField(null=True)
    col_decimal2 = models.DecimalField(max_digits=12, decimal_places=8, null=True)
    col_json2 = models.JSONField(null=True)

    col_float3 = models.FloatField(default=defaults.FLOAT)
    col_smallint3 = models.SmallIntegerField(default=defaults.SMALLINT)
    col_int3 = models.IntegerField(default=defaults.INT)
    col_bigint3 = models.BigIntegerField(default=defaults.BIGINT)
    col_char3 = models.CharField(max_length=255, default=defaults.CHAR)
    col_text3 = models.TextField(default=defaults.TEXT)
    col_decimal3 = models.DecimalField(max_digits=12, decimal_places=8, default=defaults.DECIMAL)
    col_json3 = models.JSONField(default=defaults.json)

    col_float4 = models.FloatField(null=True)
    col_smallint4 = models.SmallIntegerField(null=True)
    col_int4 = models.IntegerField(null=True)
    col_bigint4 = models.BigIntegerField(null=True)
    col_char4 = models.CharField(max_length=255, null=True)
    col_text4 = models.TextField(null=True)
    col_decimal4 = models.DecimalField(max_digits=12, decimal_places=8, null=True)
    col_json4 = models.JSONField(null=True)
