"""The state of an instance, whose ``fields_cache`` Django clears when it is deleted, since 6.1.

It has one be made where there is none, by two calls for each instance: to free a list took longer
than to make its instances. The native core makes none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models.base import ModelState

from turbo_orm._core import state_deleter
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.patches.patch import Group, Patch, Replacement


def clearing_what_is_there(djangos: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return ``__del__()``, to clear a ``fields_cache`` that there is.

    That of another package stays.
    """
    return state_deleter(ModelState, djangos) if is_own(djangos) else djangos


def _patches() -> Iterator[Patch]:
    if "__del__" in vars(ModelState):
        yield Replacement(
            "django.db.models.base:ModelState",
            "__del__",
            "no fields_cache is made to be cleared when an instance is freed",
            wrap=clearing_what_is_there,
        )


GROUP = Group("For instances", _patches)
