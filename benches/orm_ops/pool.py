"""The default database once more, with a connection for each of the tasks in a pool."""

from typing import Any

ALIAS = "tasks"
SIZE = 10


def add_to(databases: dict[str, Any]) -> None:
    """Add the alias to the settings of databases."""
    default = databases["default"]
    pool = {"min_size": SIZE, "max_size": SIZE, "timeout": 30}
    databases[ALIAS] = {**default, "OPTIONS": {**default["OPTIONS"], "pool": pool}}
