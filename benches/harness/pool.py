"""The default database under other aliases, with pools of ten and of twenty connections."""

from typing import Any

ALIAS = "tasks"
SIZE = 10
#: For more tasks than there are connections. Its backends are known by the name.
CROWDED = "crowded"
CROWDED_SIZE = 20


def add_to(databases: dict[str, Any]) -> None:
    """Add the aliases to the ``DATABASES`` setting."""
    default = databases["default"]
    databases[ALIAS] = pooled(default, SIZE)
    databases[CROWDED] = pooled(default, CROWDED_SIZE, application_name=CROWDED)


def pooled(database: dict[str, Any], size: int, **options: Any) -> dict[str, Any]:
    """Return the settings of a database with a pool of so many connections."""
    pool = {"min_size": size, "max_size": size, "timeout": 30}
    return {**database, "OPTIONS": {**database["OPTIONS"], **options, "pool": pool}}
