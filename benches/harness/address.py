"""Where the database is, for libraries that do not read Django's settings."""

from typing import Any
from urllib.parse import quote

from django.conf import settings


def address() -> dict[str, Any]:
    """Return the default database's settings under asyncpg's names."""
    database = settings.DATABASES["default"]
    return {
        "host": database.get("HOST") or database["OPTIONS"].get("host"),
        "port": int(database.get("PORT") or 5432),
        "user": database.get("USER") or None,
        "password": database.get("PASSWORD") or None,
        "database": database["NAME"],
    }


def url(**options: Any) -> str:
    """Return the address as a URL, with options in its query."""
    parts = {name: quote(str(value or ""), safe="") for name, value in address().items()}
    parts["host"] = parts["host"] or "localhost"
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return "postgres://{user}:{password}@{host}:{port}/{database}?".format(**parts) + query
