"""The operations: what a site does in one request, of several statements."""

from typing import Any

from django.db.models import F

from benches.small.composed import shelf
from benches.small.composed.operations import Composed
from benches.small.composed.orms import Orm
from benches.small.models import Author, Book, Chapter, Note, Tag

# The authors of ten books with tags, and of ten with chapters and notes.
_AUTHORS = 5


def _prefetch(orm: Orm, n: int, given: Any) -> Any:
    books = orm(Book).filter(author=1 + n % _AUTHORS).order_by("pk")
    relations = {"tags": Tag, "chapters": Chapter, "notes": Note}
    return orm.list(
        books.prefetch_related(*[orm.prefetch(name, model) for name, model in relations.items()])
    )


async def _block(orm: Orm, n: int, given: Any) -> Any:
    key, other = shelf.deleted(n), shelf.deleted(n + 1)
    async with orm.atomic():
        author, book, note, *updated = await orm.each(
            lambda: orm(Author).aget(pk=shelf.author(n)),
            lambda: orm(Book).aget(pk=shelf.book(n)),
            lambda: orm(Note).acreate(book_id=key, text=f"read {n}"),
            lambda: orm(Book).filter(pk=key).aupdate(pages=F("pages") + 1),
            lambda: orm(Book).filter(pk=other).aupdate(year=2000 + n),
        )
    # The key of the note is the server's.
    return [author, book, note.text, *updated]


PREFETCH = Composed("prefetch of three relations", _prefetch)
BLOCK = Composed("transaction of five statements", _block, writes=True)
OPERATIONS = [PREFETCH, BLOCK]
