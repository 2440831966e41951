"""Whether turbo-orm is installed in Django: whether Django's connections lead to the bridge.

``turbo_orm.patches`` sets it when the app is ready. What runs on the bridge without that would
meet Django's sync connection, so ``bridge.run()`` and whatever else needs it ask here.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

#: Read it as an attribute of this module, since it changes.
is_installed = False


def require() -> None:
    """Raise ``ImproperlyConfigured`` unless turbo-orm is installed."""
    if not is_installed:
        raise ImproperlyConfigured(
            "turbo-orm is not installed in Django, so there is no async connection to use. Add "
            '"turbo_orm" to INSTALLED_APPS; in a script, call django.setup() first.'
        )
