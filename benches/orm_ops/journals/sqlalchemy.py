"""The journals as SQLAlchemy has them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from benches.orm_ops.journals import defaults


def now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    pass


class Journal(Base):
    __abstract__ = True

    id: Mapped[int] = mapped_column(Integer, primary_key=True, sort_order=-1)
    timestamp: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), default=now, sort_order=-1
    )
    level: Mapped[int] = mapped_column(SmallInteger, index=True, sort_order=-1)
    text: Mapped[str] = mapped_column(String(255), index=True, sort_order=-1)


class Journal1(Journal):
    __tablename__ = "journals_journal1"


links = Table(
    "journals_journal2_related",
    Base.metadata,
    Column("id", BigInteger, primary_key=True),
    Column("from_journal2_id", ForeignKey("journals_journal2.id")),
    Column("to_journal2_id", ForeignKey("journals_journal2.id")),
)


class Journal2(Journal):
    __tablename__ = "journals_journal2"

    parent_id: Mapped[int | None] = mapped_column(ForeignKey("journals_journal2.id"), index=True)
    parent: Mapped[Journal2 | None] = relationship(
        remote_side="Journal2.id", back_populates="children"
    )
    children: Mapped[list[Journal2]] = relationship(back_populates="parent")
    related: Mapped[list[Journal2]] = relationship(
        secondary=links,
        primaryjoin=lambda: Journal2.id == links.c.from_journal2_id,
        secondaryjoin=lambda: Journal2.id == links.c.to_journal2_id,
        back_populates="related_from",
    )
    related_from: Mapped[list[Journal2]] = relationship(
        secondary=links,
        primaryjoin=lambda: Journal2.id == links.c.to_journal2_id,
        secondaryjoin=lambda: Journal2.id == links.c.from_journal2_id,
        back_populates="related",
    )


class Journal3(Journal):
    __tablename__ = "journals_journal3"

    col_float1: Mapped[float] = mapped_column(Float, default=defaults.FLOAT)
    col_smallint1: Mapped[int] = mapped_column(SmallInteger, default=defaults.SMALLINT)
    col_int1: Mapped[int] = mapped_column(Integer, default=defaults.INT)
    col_bigint1: Mapped[int] = mapped_column(BigInteger, default=defaults.BIGINT)
    col_char1: Mapped[str] = mapped_column(String(255), default=defaults.CHAR)
    col_text1: Mapped[str] = mapped_column(Text, default=defaults.TEXT)
    col_decimal1: Mapped[Decimal] = mapped_column(Numeric(12, 8), default=defaults.DECIMAL)
    col_json1: Mapped[dict[str, Any]] = mapped_column(JSONB, default=defaults.json)

    col_float2: Mapped[float | None] = mapped_column(Float)
    col_smallint2: Mapped[int | None] = mapped_column(SmallInteger)
    col_int2: Mapped[int | None] = mapped_column(Integer)
    col_bigint2: Mapped[int | None] = mapped_column(BigInteger)
    col_char2: Mapped[str | None] = mapped_column(String(255))
    col_text2: Mapped[str | None] = mapped_column(Text)
    col_decimal2: Mapped[Decimal | None] = mapped_column(Numeric(12, 8))
    col_json2: Mapped[dict[str, Any] | None] = mapped_column(JSONB)

    col_float3: Mapped[float] = mapped_column(Float, default=defaults.FLOAT)
    col_smallint3: Mapped[int] = mapped_column(SmallInteger, default=defaults.SMALLINT)
    col_int3: Mapped[int] = mapped_column(Integer, default=defaults.INT)
    col_bigint3: Mapped[int] = mapped_column(BigInteger, default=defaults.BIGINT)
    col_char3: Mapped[str] = mapped_column(String(255), default=defaults.CHAR)
    col_text3: Mapped[str] = mapped_column(Text, default=defaults.TEXT)
    col_decimal3: Mapped[Decimal] = mapped_column(Numeric(12, 8), default=defaults.DECIMAL)
    col_json3: Mapped[dict[str, Any]] = mapped_column(JSONB, default=defaults.json)

    col_float4: Mapped[float | None] = mapped_column(Float)
    col_smallint4: Mapped[int | None] = mapped_column(SmallInteger)
    col_int4: Mapped[int | None] = mapped_column(Integer)
    col_bigint4: Mapped[int | None] = mapped_column(BigInteger)
    col_char4: Mapped[str | None] = mapped_column(String(255))
    col_text4: Mapped[str | None] = mapped_column(Text)
    col_decimal4: Mapped[Decimal | None] = mapped_column(Numeric(12, 8))
    col_json4: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
