"""The journals as models of Piccolo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

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

from benches.orm_ops.journals.columns import columns


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


_KINDS: dict[str, Callable[..., Any]] = {
    "float": DoublePrecision,
    "smallint": SmallInt,
    "int": Integer,
    "bigint": BigInt,
    "char": partial(Varchar, length=255),
    "text": Text,
    "decimal": partial(Numeric, digits=(12, 8)),
    "json": JSONB,
}


class Journal3(Journal, tablename="journals_journal3"):
    vars().update(
        columns(
            lambda kind, default: _KINDS[kind](default=default),
            lambda kind: _KINDS[kind](null=True, default=None),
        )
    )
