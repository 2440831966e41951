"""The versions that a run was made with: a time without them says little."""

import platform
from importlib.metadata import version

_PACKAGES = ("django", "psycopg", "django-async-backend", "turbo-orm")


def versions(server: str) -> dict[str, str]:
    """Return the version of everything between the question and its answer."""
    packages = {package: version(package) for package in _PACKAGES}
    return {"python": platform.python_version(), **packages, "postgres": server}
