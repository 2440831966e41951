"""Django's settings behind the server: no middleware, no debugging, as little as there can be."""

from typing import Any

import django
from django.conf import settings

MANAGER = "django.db.models.Manager"


def configure(
    database: dict[str, Any] | None = None, manager: str = MANAGER, *apps: str, **options: Any
) -> None:
    """Configure Django; with a database, the models have this manager."""
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
        DATABASES={"default": database} if database else {},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        HTTP_MANAGER=manager,
        INSTALLED_APPS=[*apps, "benches.http"] if database else [],
        LOGGING_CONFIG=None,
        MIDDLEWARE=[],
        ROOT_URLCONF="benches.http.urls",
        SECRET_KEY="for benchmarks only",
        USE_TZ=True,
        **options,
    )
    django.setup()
