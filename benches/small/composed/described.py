"""What the composed operations are, and their targets. Django need not be configured for it."""

from typing import NamedTuple


class Described(NamedTuple):
    """An operation, and its targets: times as long as psycopg with the same statements."""

    name: str
    what: str
    goal: float
    further: float | None = None


DESCRIBED = [
    Described("atomic", "`aget()` in `async_atomic()`", 1.0, 0.85),
    Described(
        "lock", "`select_for_update().aget()` and `aupdate()` in `async_atomic()`", 1.1, 0.9
    ),
    Described("aupdate_or_create", "an existing book", 1.25, 1.0),
    Described("aget_or_create", "an existing book", 1.1, 1.0),
    Described("aget_or_create, new", "a book that doesn't exist", 1.3, 1.0),
    Described("ain_bulk", "five books by their keys", 1.2, 1.0),
    Described("aaggregate", "a sum and a count of an author's books", 1.15, 1.0),
    Described("Exists", "authors with a book from a given year, with `OuterRef`", 1.3, 1.1),
    Described("queryset in __in", "the books of authors with a given name", 1.3, 1.1),
    Described("union", "the books from two years", 1.3, 1.1),
    Described("related manager", "ten books of an author", 1.2, 1.0),
    Described("prefetch, 10", "the ten books of an author", 1.15, 0.9),
    Described("prefetch, 100", "the books of ten authors", 1.15, 0.9),
    Described("prefetch, 1,000", "the books of a hundred authors", 1.15, 0.9),
    Described("prefetch of tags", "the tags of ten books", 1.4),
    Described("aearliest", "the first of ten books by title", 1.3),
    Described("alatest", "the last of ten books by title", 1.3),
    Described("acontains", "whether a book is by an author", 1.3),
    Described("dates", "the years in which authors joined", 1.3),
    Described("aiterator", "a chunk of a hundred books, from a server-side cursor", 1.3),
    Described("raw", "ten books, with SQL", 1.3),
    Described("aadd", "a tag to a book", 1.4),
    Described("aset", "three tags of a book", 1.4),
    Described("aremove", "a tag from a book", 1.4),
    Described("asave, receivers", "an instance whose model has receivers of two signals", 1.5),
    Described("asave, child", "an instance of a child model (multi-table inheritance)", 1.5),
    Described("adelete, cascade", "a book, with its chapters, its notes and its tags", 1.5),
]
