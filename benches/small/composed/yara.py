"""yara-orm, with models made of Django's."""

from typing import Any

from yara_orm import in_transaction

from benches.contenders import yara
from benches.lists.contenders.yara import peer
from benches.small import models
from benches.small.composed import shelf

_AUTHOR, _BOOK = (peer(model) for model in (models.Author, models.Book))
_COLUMNS = [field.attname for field in models.Book._meta.concrete_fields]


class Yara(yara.Yara):
    """Its methods, by the names of the operations; those that it has not are left out."""

    async def atomic(self, n: int, given: Any) -> Any:
        async with in_transaction():
            return await _BOOK.get(id=shelf.book(n))

    async def lock(self, n: int, given: Any) -> Any:
        async with in_transaction():
            book = await _BOOK.filter(id=shelf.book(n)).select_for_update().get()
            return await _BOOK.filter(id=book.id).update(pages=book.pages)

    async def aget_or_create(self, n: int, given: Any) -> Any:
        defaults = {"author_id": shelf.author(n), "year": shelf.year(n), "pages": n}
        return await _BOOK.get_or_create(defaults=defaults, title=shelf.title(shelf.book(n)))

    async def aupdate_or_create(self, n: int, given: Any) -> Any:
        key = shelf.book(n)
        return await _BOOK.update_or_create(defaults={"pages": key % 700}, title=shelf.title(key))

    async def ain_bulk(self, n: int, given: Any) -> Any:
        return await _BOOK.in_bulk([shelf.book(n + i) for i in range(5)], "id")

    async def related_manager(self, n: int, author: Any) -> Any:
        return await _BOOK.filter(author_id=author.pk).order_by("id").limit(10)

    async def aearliest(self, n: int, given: Any) -> Any:
        return await _BOOK.filter(author_id=shelf.author(n)).earliest("title")

    async def alatest(self, n: int, given: Any) -> Any:
        return await _BOOK.filter(author_id=shelf.author(n)).latest("title")

    def plain(self, found: Any) -> Any:
        """Return a result in the form in which those of Django's are compared."""
        if isinstance(found, _BOOK):
            return [getattr(found, name) for name in _COLUMNS]
        if isinstance(found, dict):
            return {key: self.plain(each) for key, each in found.items()}
        if isinstance(found, list | tuple):
            return [self.plain(each) for each in found]
        return found
