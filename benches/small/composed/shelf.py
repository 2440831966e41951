"""The rows of authors, books, and what belongs to books, and the keys of the n-th call."""

import datetime
from typing import Any

from django.db import connection, models

from benches.small.models import (
    Author,
    Book,
    Chapter,
    Employee,
    Note,
    Person,
    Tag,
    Watched,
)

AUTHORS = 100
BOOKS_OF_EACH = 10
BOOKS = AUTHORS * BOOKS_OF_EACH
TAGS = 20
YEARS = 100
# How many books are fetched at a time from a cursor on the server.
CHUNK = 101
# Books that are there to be deleted, with two chapters and two notes each.
DELETED = 50

_FIRST_YEAR = 1900
_TABLES = (Author, Tag, Book, Chapter, Note, Person, Employee, Watched)


def author(n: int) -> int:
    """Return the key of an author."""
    return 1 + n * 37 % AUTHORS


def book(n: int) -> int:
    """Return the key of a book that stays."""
    return 1 + n * 389 % BOOKS


def deleted(n: int) -> int:
    """Return the key of a book to be deleted."""
    return BOOKS + 1 + n % DELETED


def title(key: int) -> str:
    """Return the title of a book."""
    return f"Book {key}"


def year(n: int) -> int:
    return _FIRST_YEAR + n * 7 % YEARS


def tag(n: int) -> int:
    return 1 + n * 3 % TAGS


def fill() -> None:
    """Fill the tables, unless they are full."""
    if not Note.threaded.exists():
        refill()


def refill() -> None:
    """Fill the tables, whatever is in them."""
    _truncate()
    Tag.threaded.bulk_create(Tag(pk=n, name=f"tag {n}") for n in range(1, TAGS + 1))
    Author.threaded.bulk_create(
        Author(
            pk=n,
            name=f"Author {n}",
            born=1850 + n % 20,
            joined=datetime.date(2020 + n % 5, 1 + n % 12, 1),
        )
        for n in range(1, AUTHORS + 1)
    )
    Book.threaded.bulk_create(map(_book, range(1, BOOKS + 1)))
    Person.threaded.bulk_create(Person(pk=n, name=f"Person {n}") for n in range(1, 101))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Employee._meta.db_table} (person_ptr_id, room) "
            f"SELECT id, id FROM {Person._meta.db_table}"
        )
    Watched.threaded.bulk_create(
        Watched(pk=n, name=f"Watched {n}", saved=0) for n in range(1, 101)
    )
    restore()
    with connection.cursor() as cursor:
        for model in _TABLES:
            cursor.execute(f"VACUUM (FREEZE, ANALYZE) {model._meta.db_table}")


_RESTORE = """
DELETE FROM {through} WHERE book_id > {books}
    OR tag_id NOT IN (1 + (book_id + 5) % {tags}, 1 + (book_id + 10) % {tags},
        1 + (book_id + 15) % {tags});
INSERT INTO {through} (book_id, tag_id)
    SELECT b, 1 + (b + n * 5) % {tags} FROM generate_series(1, {books}) b, generate_series(1, 3) n
    EXCEPT SELECT book_id, tag_id FROM {through};
DELETE FROM {note};
DELETE FROM {chapter};
DELETE FROM {book} WHERE id > {books};
INSERT INTO {book} (id, author_id, title, year, pages)
    SELECT n, 1 + (n - 1) / 10 % {authors}, 'Book ' || n, {first} + n % {years}, n % 700
    FROM generate_series({books} + 1, {books} + {deleted}) n;
INSERT INTO {chapter} (book_id, title)
    SELECT {books} + 1 + n % {deleted}, 'one' FROM generate_series(0, {deleted} * 2 - 1) n;
INSERT INTO {note} (book_id, text)
    SELECT {books} + 1 + n % {deleted}, 'well' FROM generate_series(0, {deleted} * 2 - 1) n;
SELECT setval(pg_get_serial_sequence('{book}', 'id'), 1000000);
"""


def restore() -> None:
    """Undo what a round has written but for columns that each call sets."""
    through: Any = Book.tags.through
    sql = _RESTORE.format(
        through=through._meta.db_table,
        book=Book._meta.db_table,
        chapter=Chapter._meta.db_table,
        note=Note._meta.db_table,
        authors=AUTHORS,
        books=BOOKS,
        deleted=DELETED,
        first=_FIRST_YEAR,
        tags=TAGS,
        years=YEARS,
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)


def left() -> list[Any]:
    """Return what the tables hold, but for keys that the server gives."""
    through: Any = Book.tags.through
    return [
        sorted(Book.threaded.values_list("title", "author_id", "year", "pages")),
        sorted(through.objects.values_list("book_id", "tag_id")),
        [model.threaded.count() for model in (Chapter, Note)],
        sorted(Employee.threaded.values_list("pk", "name", "room")),
        sorted(Watched.threaded.values_list("pk", "name", "saved")),
    ]


def _book(key: int) -> Book:
    return Book(
        pk=key,
        author_id=1 + (key - 1) // BOOKS_OF_EACH % AUTHORS,
        title=title(key),
        year=_FIRST_YEAR + key % YEARS,
        pages=key % 700,
    )


def _truncate() -> None:
    tables = ", ".join(model._meta.db_table for model in _TABLES)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} CASCADE")


def fetched(model: type[models.Model], key: int) -> Any:
    """Return an instance, as a view has it from a query before."""
    return model._base_manager.get(pk=key)
