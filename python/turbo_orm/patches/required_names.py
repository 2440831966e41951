"""Whether the versions that are installed have the names that **private_api** lists."""

from __future__ import annotations

import sys
from importlib.metadata import version
from logging import getLogger
from pkgutil import resolve_name

from django.core.exceptions import ImproperlyConfigured

from turbo_orm.patches import private_api

_logger = getLogger("turbo_orm")
_warned: set[str] = set()


def require() -> None:
    """Raise ``ImproperlyConfigured`` if a name is gone that turbo-orm cannot do without.

    Of modules that have been imported, and of classes: instances' names are left to the tests.
    """
    for each in private_api.NAMES:
        if (
            not each.is_optional
            and not each.is_stored
            and each.owner.partition(":")[0] in sys.modules
            and each.is_expected
            and not _is_there(each.owner, each.name)
        ):
            raise ImproperlyConfigured(
                f"{each.distribution} {version(each.distribution)} has no {each.path}, which "
                "turbo-orm needs. Install a version that turbo-orm supports, or a newer turbo-orm."
            )


def has(owner: str, name: str, without: str) -> bool:
    """Return whether there is a name that a patch needs. If not, warn once what does not work."""
    if _is_there(owner, name):
        return True
    path = f"{owner}.{name}".replace(":", ".")
    if path not in _warned:
        _warned.add(path)
        _logger.warning("There is no %s in the installed version. Without it: %s.", path, without)
    return False


def _is_there(owner: str, name: str) -> bool:
    try:
        return hasattr(resolve_name(owner), name)
    except (AttributeError, ImportError):
        return False
