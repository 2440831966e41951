"""The demo: load the cities of the world, ask Django and turbo-orm the same questions."""

import asyncio
import json
import sys
from argparse import ArgumentTypeError
from typing import IO, Any, cast

import psycopg
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django_async_backend.db import async_connections
from rich.console import Console

from atlas import report
from atlas.dataset import Dataset
from atlas.loading import load
from atlas.models import City
from atlas.postgres import server_dsn
from atlas.questions import tour
from atlas.race import Finding, race
from atlas.scratch import scratch_schema
from atlas.versions import versions

_KEYS = 200
_WIDTH = 100


class Command(BaseCommand):
    help = (
        "Load the cities of the world into PostgreSQL and ask questions about them, with "
        "Django's own async and with turbo-orm: the same answers, and the time that each took. "
        "Exit status 1 if any answer differs. DATABASE_URL names a database to use, in a schema "
        "that is dropped again; without it, an embedded server is started."
    )
    suppressed_base_arguments = {"--pythonpath", "--settings", "--version"}

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--rows", type=_positive, metavar="N", help="load only the N largest cities"
        )
        parser.add_argument(
            "--repeat",
            type=_positive,
            metavar="N",
            default=3,
            help="show the shortest time of N, of few rows that of 10 N (default: %(default)s)",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="print one JSON document; the tour is told on stderr",
        )

    def handle(self, **options: Any) -> None:
        console = self._console(**options)
        try:
            findings, found_with = _run(console, options["rows"], options["repeat"])
        except psycopg.OperationalError as error:
            raise CommandError(f"PostgreSQL could not be reached: {error}") from error
        report.print_table(console, findings, found_with)
        if options["json"]:
            document = report.document(findings, found_with)
            self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False), ending="\n")
        if different := [finding.question.text for finding in findings if not finding.same]:
            raise CommandError(f"The answers differ: {'; '.join(different)}")

    def _console(self, **options: Any) -> Console:
        """With --json, stdout is the document's alone, and the tour is told on stderr."""
        # Rich ends its lines itself.
        self.stdout.ending = ""
        console = Console(
            file=sys.stderr if options["json"] else cast("IO[str]", self.stdout),
            no_color=options["no_color"] or None,
            force_terminal=options["force_color"] or None,
            highlight=False,
        )
        if not console.is_terminal:
            console.width = _WIDTH
        return console


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a number above zero")
    return int(text)


def _run(console: Console, limit: int | None, repeat: int) -> tuple[list[Finding], dict[str, str]]:
    console.print("Starting PostgreSQL …")
    with scratch_schema(server_dsn("DATABASE_URL")) as scratch:
        # In place: connections that Django has prepared hold on to this very dictionary.
        settings.DATABASES["default"].update(scratch.database)
        console.print(f"PostgreSQL {scratch.server_version}, in a schema of the tour's own\n")
        try:
            call_command("migrate", verbosity=0)
            findings = asyncio.run(_load_and_ask(console, limit, repeat))
        finally:
            connections.close_all()
        return findings, versions(scratch.server_version)


async def _load_and_ask(console: Console, limit: int | None, repeat: int) -> list[Finding]:
    try:
        await load(Dataset(limit), console)
        largest = City.objects.order_by("-population", "pk").values_list("pk", flat=True)
        keys = [key async for key in largest[:_KEYS]]
        findings = []
        for number, question in enumerate(tour(keys), 1):
            findings.append(await race(question, repeat))
            report.print_finding(console, number, findings[-1])
        return findings
    finally:
        await async_connections["default"].close()
        await sync_to_async(connections.close_all)()
