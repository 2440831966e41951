"""Settings of the atlas: turbo-orm's engine and its name in ``INSTALLED_APPS`` are all it takes.

Importing them starts no server: the tour fills in the database it has made for itself.
"""

import os
from typing import Any

from atlas.postgres import database

INSTALLED_APPS = ["turbo_orm", "atlas"]

DATABASES: dict[str, dict[str, Any]] = {
    "default": database(os.environ.get("DATABASE_URL", "dbname=atlas")),
}

USE_TZ = True
TIME_ZONE = "UTC"
