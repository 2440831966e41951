"""The journals as models of SQLAlchemy."""

from __future__ import annotations

from datetime import UTC, datetime

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

from benches.orm_ops.journals.columns import columns


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


_KINDS = {
    "float": Float,
    "smallint": SmallInteger,
    "int": Integer,
    "bigint": BigInteger,
    "char": String(255),
    "text": Text,
    "decimal": Numeric(12, 8),
    "json": JSONB,
}


class Journal3(Journal):
    __tablename__ = "journals_journal3"

    vars().update(
        columns(
            lambda kind, default: mapped_column(_KINDS[kind], default=default, nullable=False),
            lambda kind: mapped_column(_KINDS[kind], nullable=True),
        )
    )
