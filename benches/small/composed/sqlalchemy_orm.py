"""SQLAlchemy's ORM on asyncpg: a session for each operation, as for each request."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import URL, Column, ForeignKey, Table, func, select, text, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from benches import names
from benches.harness.address import address
from benches.harness.contender import Contender
from benches.small.composed import shelf


class Base(DeclarativeBase):
    """The tables, by the columns of Django's models, in their order."""


_tags = Table(
    "small_book_tags",
    Base.metadata,
    Column("book_id", ForeignKey("small_book.id")),
    Column("tag_id", ForeignKey("small_tag.id")),
)


class Tag(Base):
    __tablename__ = "small_tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Author(Base):
    __tablename__ = "small_author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    born: Mapped[int]
    joined: Mapped[datetime.date]
    books: Mapped[list[Book]] = relationship(order_by="Book.id")


class Book(Base):
    __tablename__ = "small_book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("small_author.id"))
    title: Mapped[str]
    year: Mapped[int]
    pages: Mapped[int]
    tags: Mapped[list[Tag]] = relationship(secondary=_tags)


class SqlAlchemy(Contender):
    """Its methods, by the names of the operations; those that it has not are left out."""

    name = names.SQLALCHEMY

    async def open(self) -> None:
        # Not in the URL, which cannot have a directory as host.
        self.engine = create_async_engine(
            URL.create("postgresql+asyncpg"), connect_args=address(), pool_size=1, max_overflow=0
        )
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)

    async def close(self) -> None:
        await self.engine.dispose()

    async def _all(self, query: Any) -> list[Any]:
        async with self.session() as session:
            return list(await session.scalars(query))

    async def atomic(self, n: int, given: Any) -> Any:
        async with self.session.begin() as session:
            return await session.get_one(Book, shelf.book(n))

    async def lock(self, n: int, given: Any) -> Any:
        async with self.session.begin() as session:
            query = select(Book).where(Book.id == shelf.book(n)).with_for_update()
            book = (await session.scalars(query)).one()
            found: Any = await session.execute(
                update(Book).where(Book.id == book.id).values(pages=book.pages)
            )
            return found.rowcount

    async def ain_bulk(self, n: int, given: Any) -> Any:
        keys = [shelf.book(n + i) for i in range(5)]
        return {book.id: book for book in await self._all(select(Book).where(Book.id.in_(keys)))}

    async def aaggregate(self, n: int, given: Any) -> Any:
        query = select(func.sum(Book.pages), func.count(Book.id))
        async with self.session() as session:
            row = (await session.execute(query.where(Book.author_id == shelf.author(n)))).one()
            return {"pages__sum": row[0], "number": row[1]}

    def Exists(self, n: int, given: Any) -> Any:
        books = select(Book).where(Book.author_id == Author.id, Book.year == shelf.year(n))
        return self._all(select(Author).where(books.exists()).order_by(Author.id))

    def queryset_in___in(self, n: int, given: Any) -> Any:
        authors = select(Author.id).where(Author.name == f"Author {shelf.author(n)}")
        return self._all(select(Book).where(Book.author_id.in_(authors)).order_by(Book.id))

    def union(self, n: int, given: Any) -> Any:
        years = [select(Book).where(Book.year == shelf.year(each)) for each in (n, n + 1)]
        both = years[0].union(years[1])
        return self._all(select(Book).from_statement(both.order_by(both.selected_columns.title)))

    def related_manager(self, n: int, author: Any) -> Any:
        query = select(Book).where(Book.author_id == author.pk)
        return self._all(query.order_by(Book.id).limit(10))

    def _authors(self, n: int, number: int) -> Any:
        first = shelf.author(n) % (shelf.AUTHORS - number + 1)
        query = select(Author).where(Author.id > first).order_by(Author.id).limit(number)
        return self._all(query.options(selectinload(Author.books)))

    def prefetch_10(self, n: int, given: Any) -> Any:
        return self._authors(n, 1)

    def prefetch_100(self, n: int, given: Any) -> Any:
        return self._authors(n, 10)

    def prefetch_1000(self, n: int, given: Any) -> Any:
        return self._authors(n, 100)

    def prefetch_of_tags(self, n: int, given: Any) -> Any:
        query = select(Book).where(Book.author_id == shelf.author(n)).order_by(Book.id)
        return self._all(query.options(selectinload(Book.tags)))

    async def aearliest(self, n: int, given: Any) -> Any:
        query = select(Book).where(Book.author_id == shelf.author(n))
        return (await self._all(query.order_by(Book.title).limit(1)))[0]

    async def alatest(self, n: int, given: Any) -> Any:
        query = select(Book).where(Book.author_id == shelf.author(n))
        return (await self._all(query.order_by(Book.title.desc()).limit(1)))[0]

    async def acontains(self, n: int, book: Any) -> Any:
        query = select(1).where(Book.author_id == shelf.author(n), Book.id == book.pk).limit(1)
        return bool(await self._all(query))

    async def raw(self, n: int, given: Any) -> Any:
        query = text("SELECT * FROM small_book WHERE author_id = :author ORDER BY id")
        async with self.session() as session:
            found = select(Book).from_statement(query)
            return list(await session.scalars(found, {"author": shelf.author(n)}))

    def plain(self, found: Any) -> Any:
        """Return a result in the form in which those of Django's are compared."""
        if isinstance(found, Base):
            columns = [getattr(found, column.name) for column in found.__table__.columns]
            loaded = [each for each in ("books", "tags") if each in vars(found)]
            return [*columns, *(self.plain(getattr(found, each)) for each in loaded)]
        if isinstance(found, dict):
            return {key: self.plain(each) for key, each in found.items()}
        if isinstance(found, list):
            return [self.plain(each) for each in found]
        return found
