"""Projects with either name of an engine, and how many sessions of the server they have."""

from typing import Any

from tests.support.databases import ENGINE as DAB
from tests.support.project import databases, run_in_project
from turbo_orm.backend.handler import ENGINE

__all__ = ["DAB", "ENGINE", "project"]

_SESSIONS = """
    from django.db import OperationalError, connection
    from tests.library.models import Account
    from tests.support.event_loop import only_the_event_loop
    from turbo_orm import async_atomic, run_sync
    from turbo_orm.backend.task_connections import async_connections

    def sessions():
        "Return how many sessions this process has, of the one that asks."
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND backend_type = 'client backend'"
                " AND application_name = 'here'"
            )
            return cursor.fetchone()[0]

    async def ask():
        "Go by the cursor, and keep the connection if tasks do."
        return await run_sync(Account.objects.filter(owner="nobody").count)
"""


def project(code: str, engine: str = ENGINE, **changes: Any) -> Any:
    """Run code in a project with an engine, whose sessions are told from those of other tests."""
    options = {
        **databases()["default"].get("OPTIONS", {}),
        "application_name": "here",
        **changes.pop("OPTIONS", {}),
    }
    return run_in_project(
        f"{_SESSIONS}\n{code}",
        DATABASES=databases(ENGINE=engine, OPTIONS=options, **changes),
        # Without migrations of its own, so that the tables of the test app can refer to it.
        MIGRATION_MODULES={"contenttypes": None},
    )
