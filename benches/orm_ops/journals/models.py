"""Three journals: a small one, one that refers to itself, and one of many columns."""

from collections.abc import Callable
from functools import partial

from django.db import models

from benches.orm_ops.journals.columns import columns
from benches.tables.models import Table


class Journal(Table):
    """What the journals have in common."""

    id = models.AutoField(primary_key=True)
    timestamp = models.DateTimeField(auto_now_add=True)
    level = models.SmallIntegerField(db_index=True)
    text = models.CharField(max_length=255, db_index=True)

    class Meta:
        abstract = True


class Journal1(Journal):
    """Small."""


class Journal2(Journal):
    """Small, with relations to itself."""

    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    related = models.ManyToManyField("self", symmetrical=False, related_name="related_from")


_KINDS: dict[str, Callable[..., models.Field]] = {
    "float": models.FloatField,
    "smallint": models.SmallIntegerField,
    "int": models.IntegerField,
    "bigint": models.BigIntegerField,
    "char": partial(models.CharField, max_length=255),
    "text": models.TextField,
    "decimal": partial(models.DecimalField, max_digits=12, decimal_places=8),
    "json": models.JSONField,
}


class Journal3(Journal):
    """Of many columns."""

    vars().update(
        columns(
            lambda kind, default: _KINDS[kind](default=default),
            lambda kind: _KINDS[kind](null=True),
        )
    )
