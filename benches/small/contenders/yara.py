"""yara-orm, with models made of Django's."""

from typing import Any

from benches.contenders import yara
from benches.lists.contenders.yara import peer
from benches.small.contenders.contender import Contender
from benches.small.data import NAMES
from benches.small.models import Article, Writer

# The writers' model has to be made first.
_WRITER, _ARTICLE = (peer(model) for model in (Writer, Article))


class Yara(Contender, yara.Yara):
    def get(self, key: int) -> Any:
        return _ARTICLE.get(id=key)

    async def rows(self, section: int) -> Any:
        return await _ARTICLE.filter(section=section)

    async def join(self, words: int, country: str, section: int) -> Any:
        return await (
            _ARTICLE.filter(words__gt=words, writer__country=country)
            .exclude(section=section)
            .order_by("-published")
            .select_related("writer")
            .limit(10)
        )

    def count(self, section: int) -> Any:
        return _ARTICLE.filter(section=section).count()

    def exists(self, section: int, words: int) -> Any:
        return _ARTICLE.filter(section=section, words__gt=words).exists()

    def create(self, *values: Any) -> Any:
        return _ARTICLE.create(**dict(zip(NAMES, values, strict=True)))

    def update(self, words: int, key: int) -> Any:
        return _ARTICLE.filter(id=key).update(words=words)

    def delete(self, key: int) -> Any:
        return _ARTICLE.filter(id=key).delete()
