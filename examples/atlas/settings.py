"""Settings of the atlas: turbo-orm's engine and its name in ``INSTALLED_APPS`` are what it takes.

Importing them starts no server: the tour fills in the database it has made for itself.
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

# How it is served: atlas.asgi.
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ASGI_APPLICATION = "atlas.asgi.application"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "atlas.urls"

USE_TZ = True
TIME_ZONE = "UTC"
