"""The Django app: it installs turbo-orm in Django, and registers its system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from turbo_orm.checks import (
    check_asgi_application,
    check_connection_ages,
    check_engines,
    check_libpq,
    check_multiplexing,
    check_names,
    check_number_of_connections,
    check_poolers,
    check_replicas,
    check_settings,
)
from turbo_orm.patches import registry


class TurboOrmConfig(AppConfig):
    name = "turbo_orm"
    verbose_name = "turbo-orm"

    def ready(self) -> None:
        for check in (
            check_asgi_application,
            check_connection_ages,
            check_engines,
            check_libpq,
            check_multiplexing,
            check_names,
            check_replicas,
            check_settings,
        ):
            checks.register(check)
        checks.register(check_number_of_connections, checks.Tags.database)
        checks.register(check_poolers, checks.Tags.database)
        registry.install()
