"""Django's sync ORM in threads, as many as the others have connections."""

from typing import Any

from django.db import connection, transaction

from benches.http import answer
from benches.http.contenders.django_orm import DjangoOrm
from benches.http.endpoints import DELAY, LENGTH, first_of_list, keys_of_eight


def write(key: int) -> None:
    """Insert a visit and count it: two statements, which are to be in a transaction."""
    from django.db.models import F

    from benches.http.models import Counter, Visit

    Visit.objects.create(entry_id=key, referrer="https://example.org/")
    Counter.objects.filter(pk=key).update(visits=F("visits") + 1)


class SyncEndpoints(DjangoOrm):
    """Django's sync methods, and no more of how they are called."""

    is_sync = True

    def get(self, key: int) -> Any:
        from benches.http.models import Entry

        return answer.entry(Entry.objects.get(pk=key))

    def list(self, key: int) -> Any:
        from benches.http.models import Entry

        entries = Entry.objects.filter(pk__gte=first_of_list(key)).order_by("pk")[:LENGTH]
        return [answer.entry(entry) for entry in entries]

    def joined(self, key: int) -> Any:
        from benches.http.models import Entry

        entries = Entry.objects.filter(pk__gte=first_of_list(key)).order_by("pk")
        return [answer.joined(entry) for entry in entries.select_related("author")[:LENGTH]]

    def json(self, key: int) -> Any:
        from django.core.serializers.json import DjangoJSONEncoder

        from benches.http.models import Entry

        entries = Entry.objects.filter(pk__gte=first_of_list(key)).order_by("pk")
        return DjangoJSONEncoder().encode([*entries.values(*answer.ENTRY)[:LENGTH]]).encode()

    def joined_json(self, key: int) -> Any:
        return self.joined(key)

    def eight(self, key: int) -> Any:
        return [self.get(each) for each in keys_of_eight(key)]

    def slow(self, key: int) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [DELAY])
        return self.get(key)

    def write(self, key: int) -> Any:
        with transaction.atomic():
            write(key)
        return answer.written(key)


class DjangoSync(SyncEndpoints):
    """A connection for each thread, which stays."""

    engine = "django.db.backends.postgresql"

    @property
    def threads(self) -> int:
        return self.pool

    def database(self) -> dict[str, Any]:
        entry = super().database()
        del entry["OPTIONS"]["pool"]
        return {**entry, "CONN_MAX_AGE": None}

    def handler(self) -> Any:
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()


class DjangoManyThreads(DjangoSync):
    """A thread for each of a thousand clients. They share the connections of Django's pool."""

    threads = 1_000

    def database(self) -> dict[str, Any]:
        return SyncEndpoints.database(self)

    async def close(self) -> None:
        # Its threads would be waited for otherwise.
        connection.close_pool()
