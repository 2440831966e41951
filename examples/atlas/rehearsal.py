"""A transaction that is rolled back, written as each contender lets you write it.

Django has no async transaction: the whole block has to become a sync function in a thread.
"""

from asgiref.sync import sync_to_async
from django.db import transaction

from atlas.models import City
from turbo_orm import async_atomic


class Undo(Exception):
    """Raised at the end of a rehearsal, so that its transaction is rolled back."""


async def rehearse_awaiting(country: str) -> dict[str, int]:
    """Delete a country's cities with turbo-orm, count, roll back, count again."""
    cities = City.objects.filter(country=country)
    counts = {"before": await cities.acount()}
    try:
        async with async_atomic():
            counts["deleted"], _ = await cities.adelete()
            counts["inside"] = await cities.acount()
            raise Undo
    except Undo:
        counts["after"] = await cities.acount()
    return counts


@sync_to_async
def rehearse_in_thread(country: str) -> dict[str, int]:
    """Do the same with Django, in a thread."""
    cities = City.threaded.filter(country=country)
    counts = {"before": cities.count()}
    try:
        with transaction.atomic():
            counts["deleted"], _ = cities.delete()
            counts["inside"] = cities.count()
            raise Undo
    except Undo:
        counts["after"] = cities.count()
    return counts
