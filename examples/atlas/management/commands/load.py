"""Loads the cities of the world into the database of the settings, for the atlas to be served."""

import asyncio
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from atlas.dataset import Dataset
from atlas.loading import load
from atlas.models import Continent


class Command(BaseCommand):
    help = (
        "Make the tables of the atlas in the database that DATABASE_URL names, and load the "
        "cities of the world into them. They stay there, to be served by atlas.asgi."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rows", type=int, metavar="N", help="load only the N largest cities")

    def handle(self, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        if Continent.objects.exists():
            raise CommandError("The atlas is loaded already.")
        asyncio.run(load(Dataset(options["rows"]), Console()))
