"""A Django project with settings of its own, in a process of its own."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from typing import Any

from django.conf import settings

from tests.support.forks import forks

ROOT = Path(__file__).resolve().parent.parent.parent

# Those of packages that need not be installed.
OPTIONAL_APPS = [app for app in ("pgtrigger", "pghistory", "silk") if find_spec(app)]

APPS = ["django.contrib.contenttypes", "turbo_orm", "tests.library"]

SET_UP = """
import asyncio, json, sys
import django
from django.conf import settings

from tests.support.forks import forks

def answer(value):
    print(json.dumps(value))

settings.configure(**json.loads(sys.argv[1]))
"""


def databases(**changes: Any) -> dict[str, Any]:
    """Return the databases of the tests, the default one with changes."""
    found = {alias: dict(database) for alias, database in settings.DATABASES.items()}
    # A process of its own sees what Django has filled in, too; it is filled in again there.
    wanted = {"ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS"}
    found = {
        alias: {key: value for key, value in database.items() if key in wanted}
        for alias, database in found.items()
    }
    found["default"] |= changes
    return found


def run_in_project(code: str, before: str = "", **changes: Any) -> Any:
    """Run code in a project, whose settings can be changed, and return what it answers.

    ``before`` is run before the project is set up.
    """
    project = forks(*python_path())
    code = "\n".join([SET_UP, dedent(before), "django.setup()", dedent(code)])
    printed = output(project.run(code, configuration(**changes)))
    return json.loads(printed.splitlines()[-1])


def configuration(**changes: Any) -> str:
    """Return the settings of a project, as JSON."""
    settings = {
        "DATABASES": databases(),
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": APPS,
        "SECRET_KEY": "for tests only",
        "USE_TZ": True,
        **changes,
    }
    return json.dumps(settings)


def environment(**changes: Any) -> dict[str, str]:
    """Return the environment of a program that looks for Django's settings by itself."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.support.given_settings",
        "PYTHONPATH": os.pathsep.join(python_path()),
        "TURBO_ORM_TEST_SETTINGS": configuration(**changes),
    }


def python_path() -> list[str]:
    path = [str(ROOT), str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")]
    return [*filter(None, path)]


def run_python(code: str, *arguments: str) -> str:
    """Run code in a new process, which has to succeed, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(python_path())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return output(done)


def output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    # What goes wrong while objects are deleted, or the process ends, is only ever printed.
    assert done.stderr == "", done.stderr
    return done.stdout
