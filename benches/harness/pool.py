"""The default database under a second alias, with a pool of ten connections."""

from typing import Any

ALIAS = "tasks"
SIZE = 10


def add_to(databases: dict[str, Any]) -> None:
    """Add the alias to the ``DATABASES`` setting."""
    default = databases["default"]
    pool = {"min_size": SIZE, "max_size": SIZE, "timeout": 30}
    databases[ALIAS] = {**default, "OPTIONS": {**default["OPTIONS"], "pool": pool}}
