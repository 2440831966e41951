"""The journals as models of yara-orm."""

from __future__ import annotations

from yara_orm import Model, fields

from benches.orm_ops.journals.columns import columns_of


class Journal(Model):
    id = fields.IntField(pk=True)
    timestamp = fields.DatetimeField(auto_now_add=True)
    level = fields.SmallIntField(index=True)
    text = fields.CharField(max_length=255, index=True)

    class Meta:
        abstract = True


class Journal1(Journal):
    class Meta:
        table = "journals_journal1"


class Journal2(Journal):
    parent = fields.ForeignKeyField(
        "benches.orm_ops.journals.yara.Journal2", related_name="children", null=True
    )
    related = fields.ManyToManyField(
        "benches.orm_ops.journals.yara.Journal2",
        related_name="related_from",
        through="journals_journal2_related",
        forward_key="to_journal2_id",
        backward_key="from_journal2_id",
    )

    class Meta:
        table = "journals_journal2"


class Journal3(Journal):
    vars().update(columns_of(fields))

    class Meta:
        table = "journals_journal3"
