"""Django's ORM: Django itself, django-async-backend, and turbo-orm.

They have the same chains, and differ in the manager and in the last call.
"""

from typing import Any

from benches.contenders import django
from benches.small.contenders.contender import Contender
from benches.small.data import NAMES
from benches.small.models import Article


class _Chains(Contender, django.DjangoOrm):
    """The chains that are the same for sync and async methods."""

    @property
    def articles(self) -> Any:
        """The manager, looked up for each operation as an application does."""
        return self.objects(Article)

    def rows(self, section: int) -> Any:
        return self.listed(self.articles.filter(section=section))

    def join(self, words: int, country: str, section: int) -> Any:
        return self.listed(
            self.articles.filter(words__gt=words, writer__country=country)
            .exclude(section=section)
            .order_by("-published")
            .select_related("writer")[:10]
        )


class Orm(_Chains):
    """One of Django's managers, with async terminals."""

    def get(self, key: int) -> Any:
        return self.articles.aget(pk=key)

    def count(self, section: int) -> Any:
        return self.articles.filter(section=section).acount()

    def exists(self, section: int, words: int) -> Any:
        return self.articles.filter(section=section, words__gt=words).aexists()

    def create(self, *values: Any) -> Any:
        return self.articles.acreate(**dict(zip(NAMES, values, strict=True)))

    def update(self, words: int, key: int) -> Any:
        return self.articles.filter(pk=key).aupdate(words=words)

    def delete(self, key: int) -> Any:
        return self.articles.filter(pk=key).adelete()


class DjangoAsync(Orm, django.DjangoAsync):
    pass


class Backend(Orm, django.Backend):
    pass


class Turbo(Orm, django.Turbo):
    pass


class TurboOnUvloop(Turbo, django.TurboOnUvloop):
    pass


class _Sync(_Chains):
    """One of Django's managers, with sync terminals."""

    def ten(self, section: int) -> Any:
        return self.listed(self.articles.filter(section=section).order_by("pk")[:10])

    def get(self, key: int) -> Any:
        return self.articles.get(pk=key)

    def count(self, section: int) -> Any:
        return self.articles.filter(section=section).count()

    def exists(self, section: int, words: int) -> Any:
        return self.articles.filter(section=section, words__gt=words).exists()

    def create(self, *values: Any) -> Any:
        return self.articles.create(**dict(zip(NAMES, values, strict=True)))

    def update(self, words: int, key: int) -> Any:
        return self.articles.filter(pk=key).update(words=words)

    def delete(self, key: int) -> Any:
        return self.articles.filter(pk=key).delete()


class DjangoSync(_Sync, django.DjangoSync):
    """Django without an event loop."""


class TurboSync(_Sync, django.TurboSync):
    """turbo-orm without an event loop."""
