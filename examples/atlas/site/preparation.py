"""What there has to be before the site is served: tables, cities, and a superuser."""

import asyncio
import secrets

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from rich.console import Console

from atlas.dataset import Dataset
from atlas.loading import load
from atlas.models import City
from turbo_orm import async_atomic

USERNAME = "atlas"


def prepare(console: Console, rows: int | None) -> str:
    """Load the atlas, unless it is there, and return the password of its superuser.

    That is another one at each start: for an example, which has no password to keep.
    """
    call_command("migrate", verbosity=0)
    if not City.objects.exists():
        asyncio.run(_load(rows, console))
    password = secrets.token_urlsafe(8)
    user, _ = User.objects.get_or_create(
        username=USERNAME, defaults={"is_staff": True, "is_superuser": True}
    )
    user.set_password(password)
    user.save()
    connections.close_all()
    return password


async def _load(rows: int | None, console: Console) -> None:
    """Load all of it, or nothing."""
    async with async_atomic():
        await load(Dataset(rows), console)
