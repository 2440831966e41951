"""The contenders that are Django's ORM: Django itself, django-async-backend, and turbo-orm.

They are asked for the same by the same chains, and differ in the manager and in the last call.
"""

from typing import Any

import uvloop
from asgiref.sync import sync_to_async
from django.db import connections

from benches.small.contenders.contender import Contender
from benches.small.data import NAMES
from benches.small.models import Article


class Orm(Contender):
    """One of Django's managers, with async terminals."""

    manager: str

    @property
    def objects(self) -> Any:
        """The manager, as a class has it when it is asked for one."""
        return getattr(Article, self.manager)

    def get(self, key: int) -> Any:
        return self.objects.aget(pk=key)

    async def rows(self, section: int) -> Any:
        return [article async for article in self.objects.filter(section=section)]

    async def join(self, words: int, country: str, section: int) -> Any:
        return [article async for article in self.joined(words, country, section)]

    def joined(self, words: int, country: str, section: int) -> Any:
        return (
            self.objects.filter(words__gt=words, writer__country=country)
            .exclude(section=section)
            .order_by("-published")
            .select_related("writer")[:10]
        )

    def count(self, section: int) -> Any:
        return self.objects.filter(section=section).acount()

    def exists(self, section: int, words: int) -> Any:
        return self.objects.filter(section=section, words__gt=words).aexists()

    def create(self, *values: Any) -> Any:
        return self.objects.acreate(**dict(zip(NAMES, values, strict=True)))

    def update(self, words: int, key: int) -> Any:
        return self.objects.filter(pk=key).aupdate(words=words)

    def delete(self, key: int) -> Any:
        return self.objects.filter(pk=key).adelete()


class DjangoAsync(Orm):
    """Django's own async, whose connection belongs to the thread that it hops to."""

    name = "Django async"
    manager = "threaded"

    async def close(self) -> None:
        await sync_to_async(connections.close_all)()


class Backend(Orm):
    name = "django-async-backend"
    manager = "backend"


class Turbo(Orm):
    name = "turbo-orm"
    manager = "objects"

    def rows(self, section: int) -> Any:
        return self.objects.filter(section=section).alist()

    def join(self, words: int, country: str, section: int) -> Any:
        return self.joined(words, country, section).alist()


class TurboOnUvloop(Turbo):
    name = "turbo-orm, uvloop"
    new_loop = staticmethod(uvloop.new_event_loop)


class DjangoSync(Orm):
    """Django as it is without a loop."""

    name = "Django sync"
    manager = "threaded"
    is_async = False

    def get(self, key: int) -> Any:
        return self.objects.get(pk=key)

    def rows(self, section: int) -> Any:
        return list(self.objects.filter(section=section))

    def join(self, words: int, country: str, section: int) -> Any:
        return list(self.joined(words, country, section))

    def count(self, section: int) -> Any:
        return self.objects.filter(section=section).count()

    def exists(self, section: int, words: int) -> Any:
        return self.objects.filter(section=section, words__gt=words).exists()

    def create(self, *values: Any) -> Any:
        return self.objects.create(**dict(zip(NAMES, values, strict=True)))

    def update(self, words: int, key: int) -> Any:
        return self.objects.filter(pk=key).update(words=words)

    def delete(self, key: int) -> Any:
        return self.objects.filter(pk=key).delete()
