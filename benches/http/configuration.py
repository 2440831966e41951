"""Django's settings behind the server: as little as there can be, or those of ``startproject``."""

from typing import Any

import django
from django.conf import settings
from tests.support import startproject

MANAGER = "django.db.models.Manager"

# The apps and the middleware that ``django-admin startproject`` writes down, in this order.
APPS = tuple(
    f"django.contrib.{name}"
    for name in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
)
MIDDLEWARE = tuple(startproject.MIDDLEWARE)


def configure(
    application: str,
    database: dict[str, Any] | None = None,
    manager: str = MANAGER,
    *apps: str,
    **options: Any,
) -> None:
    """Configure Django; with a database, the models have this manager."""
    is_startproject = application == "startproject"
    installed = [*apps, *(APPS if is_startproject else ()), "benches.http"]
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
        DATABASES={"default": database} if database else {},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        HTTP_MANAGER=manager,
        INSTALLED_APPS=installed if database else [],
        LOGGING_CONFIG=None,
        MIDDLEWARE=list(MIDDLEWARE) if is_startproject else [],
        ROOT_URLCONF="benches.http.urls",
        SECRET_KEY="for benchmarks only",
        TIME_ZONE="UTC",
        USE_TZ=True,
        **options,
    )
    django.setup()
