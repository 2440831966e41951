"""The URLconf of a request, which Django sets and deletes in asgiref's storage.

A handler does both for each request, by twelve calls. What is stored is the same here, and it is
stored at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import Context
from functools import wraps
from threading import get_ident
from typing import Any

from asgiref.local import Local
from django.urls import base as urls_base

from turbo_orm.handlers.local_storage import variable
from turbo_orm.patches.patch import Group, Patch, Replacement

type SetUrlconf = Callable[[Any], None]

_urls: Any = urls_base


def setting_at_once(djangos: SetUrlconf) -> SetUrlconf:
    """Return ``set_urlconf()``, to store the name, or delete it, where asgiref would."""
    local, tagged = _urls._urlconfs, _class_of_storage()
    kept: Any = variable(local)

    @wraps(djangos)
    def set_urlconf(urlconf_name: Any) -> None:
        if _urls._urlconfs is not local:
            djangos(urlconf_name)
        elif urlconf_name:
            kept.set(tagged(get_ident(), {"value": urlconf_name}))
        else:
            storage = kept.get(None)
            # That of another thread is not found.
            if storage is not None and storage.data and storage.thread_id == get_ident():
                kept.set(tagged(get_ident(), {}))

    return set_urlconf


def _class_of_storage() -> Any:
    """Return the class in which asgiref stores values with their thread, if this one does.

    Earlier ones store a dictionary, which some of them modify.
    """

    def look() -> Any:
        local: Any = Local()
        local.value = 1
        kept = variable(local)
        storage = None if kept is None else kept.get(None)
        is_tagged = getattr(storage, "thread_id", None) == get_ident() and getattr(
            storage, "data", None
        ) == {"value": 1}
        return type(storage) if is_tagged else None

    return Context().run(look)


def _patches() -> Iterator[Patch]:
    if _class_of_storage() is not None and variable(_urls._urlconfs) is not None:
        yield Replacement(
            "django.core.handlers.base",
            "set_urlconf",
            "the URLconf of each request is set and deleted at once",
            wrap=setting_at_once,
        )


GROUP = Group("For URLconfs", _patches)
