"""The tables of a project with users and the admin."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def _schema(tables: None) -> Iterator[None]:
    from django.db import connection

    from tests.integrations.site import run_in_site

    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA site")
    run_in_site("""
        from django.core.management import call_command
        call_command("migrate", run_syncdb=True, verbosity=0)
        answer(None)
    """)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA site CASCADE")


@pytest.fixture
def site(_schema: None) -> Any:
    """Return a function that runs code in a project with users, sessions and the admin."""
    from tests.integrations.site import run_in_site
    from tests.library.data import WRITTEN
    from tests.support.tables import truncate

    tables = ["members_member", "django_session", *(model._meta.db_table for model in WRITTEN)]
    truncate("default", [f"site.{table}" for table in tables])
    return run_in_site
