"""Generic relations in plain code of an event loop, where no content type is known yet."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps

from turbo_orm.backend import content_type_cache
from turbo_orm.patches.patch import Group, Patch, Replacement
from turbo_orm.query_cache import invalidation


def _patches() -> Iterator[Patch]:
    if apps.is_installed("django.contrib.contenttypes"):
        yield Replacement(
            "django.contrib.contenttypes.fields:GenericRelation",
            "get_extra_restriction",
            "exclude() over a generic relation looks its content type up when it is executed",
            wrap=content_type_cache.restricting,
        )
        yield Replacement(
            "django.contrib.contenttypes.models:ContentTypeManager",
            "clear_cache",
            "content types are fetched again on the bridge",
            wrap=invalidation.forgetting_plans,
        )


GROUP = Group("For generic relations", _patches)
