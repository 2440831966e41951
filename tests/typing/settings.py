"""The settings of a project, with their types."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turbo_orm.conf import Settings

TURBO_ORM: "Settings" = {
    "ON_EVENT_LOOP": ["mysite.middleware.TenantMiddleware"],
    "REPLICAS": {"replica": 1},
    "SYNC_VIEWS": "bridge",
    "QUERY_CACHE_ENTRIES": 10_000,
    "LOOP_WATCHDOG": 100,
}

# Each has to be a mistake, or its comment is an error.
MISSPELT: "Settings" = {"SYNC_VIEW": "bridge"}  # type: ignore[typeddict-unknown-key]
OF_ANOTHER_TYPE: "Settings" = {"LOOP_WATCHDOG": "100"}  # type: ignore[typeddict-item]
NO_CHOICE: "Settings" = {"SYNC_VIEWS": "async"}  # type: ignore[typeddict-item]
