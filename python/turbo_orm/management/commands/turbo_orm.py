"""``manage.py turbo_orm``: what turbo-orm has done to Django, and what a request's threads do."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from turbo_orm.management import hops
from turbo_orm.patches import registry
from turbo_orm.patches.patch import Patch, Receiver


class Command(BaseCommand):
    help = "Tells what turbo-orm does in this project."
    requires_system_checks: Any = []

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
        commands.add_parser(
            "patches",
            help="list what is replaced in Django and other packages, by what, and what for",
        )
        hops.add_arguments(
            commands.add_parser(
                "hops", help="list the thread hops of a request", description=hops.DESCRIPTION
            )
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["subcommand"] == "hops":
            hops.handle(self, options)
        else:
            self.list_patches()

    def list_patches(self) -> None:
        for group in registry.GROUPS:
            self.stdout.write(self.style.MIGRATE_HEADING(group.title))
            if not group.installed:
                self.stdout.write("  nothing")
            for patch in group.installed:
                self.stdout.write(f"  {_line(patch)}\n    {patch.why}")


def _line(patch: Patch) -> str:
    if isinstance(patch, Receiver):
        return f"{patch.target} is received by {patch.source}()"
    return f"{patch.target} is replaced by {patch.source}"
