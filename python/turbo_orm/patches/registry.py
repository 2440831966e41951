"""All patches: installed when the app is ready, listed by ``manage.py turbo_orm patches``.

Importing ``turbo_orm`` changes nothing of other packages. ``install()`` does, and ``uninstall()``
puts back the very objects that were there.
"""

from __future__ import annotations

from turbo_orm.patches import (
    asgi_requests,
    async_managers,
    atomic_requests,
    debug_toolbar,
    generic_relations,
    lazy_objects,
    model_state,
    patch_django,
    pghistory,
    pool_warning,
    required_names,
    response_headers,
    silk,
    subqueries,
    testcases,
    urlconf,
)

#: In the order in which they are installed. ``patch_django()`` installs the last.
GROUPS = (
    async_managers.GROUP,
    asgi_requests.GROUP,
    response_headers.GROUP,
    urlconf.GROUP,
    lazy_objects.GROUP,
    model_state.GROUP,
    atomic_requests.GROUP,
    pool_warning.GROUP,
    generic_relations.GROUP,
    subqueries.GROUP,
    debug_toolbar.GROUP,
    testcases.GROUP,
    pghistory.GROUP,
    silk.GROUP,
    patch_django.SETTING,
    patch_django.GROUP,
)


def install() -> None:
    """Install what the app does to Django, and all of Django's patches if the settings say so.

    Raises ``ImproperlyConfigured`` if another package lacks a name that turbo-orm needs, and
    installs nothing then. Done again, it does nothing.
    """
    required_names.require()
    try:
        for group in GROUPS:
            if group is not patch_django.GROUP:
                group.install()
    except BaseException:
        uninstall()
        raise


def uninstall() -> None:
    """Put back all that was replaced, and disconnect the receivers.

    For tests, and to find out whether turbo-orm is the cause of something: end the tasks that use
    the database before. Async methods of an ``AsyncManager`` raise ``ImproperlyConfigured`` then.
    """
    for group in reversed(GROUPS):
        group.uninstall()
