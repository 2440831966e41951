"""The endpoints that read, for the contenders over Django's querysets."""

from typing import Any

from atlas.postgres import database
from benches.http import answer
from benches.http.configuration import configure
from benches.http.contender import Contender
from benches.http.endpoints import LENGTH, first_of_list, keys_of_eight


class DjangoOrm(Contender):
    """A manager, an engine, and Django's async methods."""

    engine = "django_async_backend.db.backends.postgresql"
    manager = "django.db.models.Manager"
    apps: tuple[str, ...] = ()
    settings: dict[str, Any] = {}

    def set_up(self, application: str) -> None:
        configure(application, self.database(), self.manager, *self.apps, **self.settings)

    def database(self) -> dict[str, Any]:
        """Return the ``DATABASES`` entry, with a pool."""
        entry = database(self.dsn, ENGINE=self.engine)
        entry["OPTIONS"]["pool"] = {"min_size": self.pool, "max_size": self.pool, "timeout": 60}
        return entry

    async def get(self, key: int) -> Any:
        from benches.http.models import Entry

        return answer.entry(await Entry.objects.aget(pk=key))

    async def list(self, key: int) -> Any:
        from benches.http.models import Entry

        entries = Entry.objects.filter(pk__gte=first_of_list(key)).order_by("pk")[:LENGTH]
        return [answer.entry(entry) async for entry in entries]

    async def joined(self, key: int) -> Any:
        from benches.http.models import Entry

        entries = Entry.objects.filter(pk__gte=first_of_list(key)).order_by("pk")
        return [answer.joined(entry) async for entry in entries.select_related("author")[:LENGTH]]

    async def json(self, key: int) -> Any:
        from django.core.serializers.json import DjangoJSONEncoder

        from benches.http.models import Entry

        entries = Entry.objects.filter(pk__gte=first_of_list(key)).order_by("pk")
        rows = [row async for row in entries.values(*answer.ENTRY)[:LENGTH]]
        return DjangoJSONEncoder().encode(rows).encode()

    async def visit(self, key: int) -> Any:
        """Insert a visit and count it, in the transaction that is open."""
        from django.db.models import F

        from benches.http.models import Counter, Visit

        await Visit.objects.acreate(entry_id=key, referrer="https://example.org/")
        await Counter.objects.filter(pk=key).aupdate(visits=F("visits") + 1)
        return answer.written(key)

    async def eight(self, key: int) -> Any:
        return [await self.get(each) for each in keys_of_eight(key)]
