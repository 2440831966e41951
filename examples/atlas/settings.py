"""Settings of the tour: turbo-orm's engine and its name in ``INSTALLED_APPS`` are what it takes.

Importing them starts no server: the tour fills in the database it has made for itself. The site
has settings of its own.
"""

import os
from typing import Any

from atlas.postgres import database

INSTALLED_APPS = ["turbo_orm", "atlas"]

# For the comparison: the models' second manager, one of Django's, is to be as Django has it.
TURBO_ORM = {"PATCH_DJANGO": False}

DATABASES: dict[str, dict[str, Any]] = {
    "default": database(os.environ.get("DATABASE_URL", "dbname=atlas")),
}

USE_TZ = True
TIME_ZONE = "UTC"
