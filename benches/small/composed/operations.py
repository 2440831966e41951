"""The operations, each once for all managers of Django's. **described** says what they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Sum

from benches.small.composed import shelf
from benches.small.composed.orms import Orm
from benches.small.models import Author, Book, Employee, Tag, Watched

type Call = Callable[[Orm, int, Any], Awaitable[Any]]


@dataclass(frozen=True)
class Composed:
    """An operation: what the n-th call does, with an instance that is fetched before."""

    name: str
    call: Call
    given: Callable[[int], Any] | None = None
    writes: bool = False
    #: Whether it begins at an instance, whose methods and managers are those of the models.
    of_instances: bool = False

    def __str__(self) -> str:
        return self.name


async def _get_in_block(orm: Orm, n: int, given: Any) -> Any:
    async with orm.atomic():
        return await orm(Book).aget(pk=shelf.book(n))


async def _lock_and_update(orm: Orm, n: int, given: Any) -> Any:
    async with orm.atomic():
        book = await orm(Book).select_for_update().aget(pk=shelf.book(n))
        return await orm(Book).filter(pk=book.pk).aupdate(pages=book.pages)


def _update_or_create(orm: Orm, n: int, given: Any) -> Any:
    key = shelf.book(n)
    return orm(Book).aupdate_or_create(title=shelf.title(key), defaults={"pages": key % 700})


def _get_or_create(orm: Orm, n: int, given: Any) -> Any:
    return orm(Book).aget_or_create(title=shelf.title(shelf.book(n)), defaults=_defaults(n))


def _create_by_get_or_create(orm: Orm, n: int, given: Any) -> Any:
    return orm(Book).aget_or_create(title=f"New {n}", defaults=_defaults(n))


def _defaults(n: int) -> dict[str, Any]:
    return {"author_id": shelf.author(n), "year": shelf.year(n), "pages": n}


def _in_bulk(orm: Orm, n: int, given: Any) -> Any:
    return orm(Book).ain_bulk([shelf.book(n + i) for i in range(5)])


def _aggregate(orm: Orm, n: int, given: Any) -> Any:
    books = orm(Book).filter(author=shelf.author(n))
    return books.aaggregate(Sum("pages"), number=Count("pk"))


def _exists(orm: Orm, n: int, given: Any) -> Any:
    books = orm(Book).filter(author=OuterRef("pk"), year=shelf.year(n))
    return orm.list(orm(Author).filter(Exists(books)).order_by("pk"))


def _in_queryset(orm: Orm, n: int, given: Any) -> Any:
    authors = orm(Author).filter(name=f"Author {shelf.author(n)}")
    return orm.list(orm(Book).filter(author__in=authors).order_by("pk"))


def _union(orm: Orm, n: int, given: Any) -> Any:
    first = orm(Book).filter(year=shelf.year(n))
    return orm.list(first.union(orm(Book).filter(year=shelf.year(n + 1))).order_by("title"))


def _related(orm: Orm, n: int, author: Any) -> Any:
    return orm.list(orm.related(author.books).order_by("pk")[:10])


def _prefetch(number: int) -> Call:
    """Return the operation that fetches so many authors, and ten times as many books."""

    def prefetch(orm: Orm, n: int, given: Any) -> Any:
        first = shelf.author(n) % (shelf.AUTHORS - number + 1)
        authors = orm(Author).filter(pk__gt=first).order_by("pk")[:number]
        return orm.list(authors.prefetch_related(orm.prefetch("books", Book)))

    return prefetch


def _prefetch_tags(orm: Orm, n: int, given: Any) -> Any:
    books = orm(Book).filter(author=shelf.author(n)).order_by("pk")
    return orm.list(books.prefetch_related(orm.prefetch("tags", Tag)))


def _earliest(orm: Orm, n: int, given: Any) -> Any:
    return orm(Book).filter(author=shelf.author(n)).aearliest("title")


def _latest(orm: Orm, n: int, given: Any) -> Any:
    return orm(Book).filter(author=shelf.author(n)).alatest("title")


def _contains(orm: Orm, n: int, book: Any) -> Any:
    return orm(Book).filter(author=shelf.author(n)).acontains(book)


def _dates(orm: Orm, n: int, given: Any) -> Any:
    return orm.list(orm(Author).filter(pk__lt=shelf.author(n)).dates("joined", "year"))


async def _iterate(orm: Orm, n: int, given: Any) -> Any:
    # It is not left early: Django closes its cursor when it is collected, be it in a wait for the
    # same connection.
    books = orm(Book).filter(pk__gt=shelf.book(n) // 2).order_by("pk")[: shelf.CHUNK - 1]
    return [book async for book in books.aiterator(chunk_size=shelf.CHUNK)]


async def _raw(orm: Orm, n: int, given: Any) -> Any:
    sql = f"SELECT * FROM {Book._meta.db_table} WHERE author_id = %s ORDER BY id"
    return [book async for book in orm(Book).raw(sql, [shelf.author(n)])]


def _add(orm: Orm, n: int, book: Any) -> Any:
    return orm.related(book.tags).aadd(shelf.tag(n))


def _set(orm: Orm, n: int, book: Any) -> Any:
    return orm.related(book.tags).aset([shelf.tag(n), shelf.tag(n + 1), shelf.tag(n + 2)])


def _remove(orm: Orm, n: int, book: Any) -> Any:
    return orm.related(book.tags).aremove(1 + (book.pk + 5) % shelf.TAGS)


def _save_watched(orm: Orm, n: int, watched: Any) -> Any:
    watched.saved = n
    return orm.save(watched)


def _save_employee(orm: Orm, n: int, employee: Any) -> Any:
    employee.room = n
    return orm.save(employee)


def _delete(orm: Orm, n: int, book: Any) -> Any:
    return orm.delete(book)


def _key(n: int) -> int:
    return 1 + n % 100


def _book(n: int) -> Any:
    return shelf.fetched(Book, shelf.book(n))


OPERATIONS = [
    Composed("atomic", _get_in_block),
    Composed("lock", _lock_and_update, writes=True),
    Composed("aupdate_or_create", _update_or_create, writes=True),
    Composed("aget_or_create", _get_or_create),
    Composed("aget_or_create, new", _create_by_get_or_create, writes=True),
    Composed("ain_bulk", _in_bulk),
    Composed("aaggregate", _aggregate),
    Composed("Exists", _exists),
    Composed("queryset in __in", _in_queryset),
    Composed("union", _union),
    Composed(
        "related manager",
        _related,
        given=lambda n: shelf.fetched(Author, shelf.author(n)),
        of_instances=True,
    ),
    Composed("prefetch, 10", _prefetch(1)),
    Composed("prefetch, 100", _prefetch(10)),
    Composed("prefetch, 1,000", _prefetch(100)),
    Composed("prefetch of tags", _prefetch_tags),
    Composed("aearliest", _earliest),
    Composed("alatest", _latest),
    Composed("acontains", _contains, given=_book),
    Composed("dates", _dates),
    Composed("aiterator", _iterate),
    Composed("raw", _raw),
    Composed("aadd", _add, given=_book, writes=True, of_instances=True),
    Composed("aset", _set, given=_book, writes=True, of_instances=True),
    Composed("aremove", _remove, given=_book, writes=True, of_instances=True),
    Composed(
        "asave, receivers",
        _save_watched,
        given=lambda n: shelf.fetched(Watched, _key(n)),
        writes=True,
        of_instances=True,
    ),
    Composed(
        "asave, child",
        _save_employee,
        given=lambda n: shelf.fetched(Employee, _key(n)),
        writes=True,
        of_instances=True,
    ),
    Composed(
        "adelete, cascade",
        _delete,
        given=lambda n: shelf.fetched(Book, shelf.deleted(n)),
        writes=True,
        of_instances=True,
    ),
]
