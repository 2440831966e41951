"""Has connections take up settings of the database that a test has changed."""

from django.db import connections

from turbo_orm.backend.handler import process_connection


def start_anew():
    """Have connections of the default database look at its settings again."""
    connections["default"].close()
    for name in ("timezone", "timezone_name"):
        vars(connections["default"]).pop(name, None)
    process_connection.cache_clear()
