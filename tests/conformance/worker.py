"""A process that runs some labels: ``python -m tests.conformance.worker FOLDER LABEL …``.

``FOLDER`` has Django's tests. What varies is in the environment (``settings``), and what becomes
of the tests is told to the file descriptor that the parent has named (``reporting``).
"""

import importlib
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any


def main(folder: str, labels: list[str]) -> None:
    varies = json.loads(os.environ["TURBO_ORM_CONFORMANCE"])
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.conformance.settings"
    sys.path[:0] = [folder]
    os.chdir(folder)
    from tests.conformance import reporting

    runtests: Any = importlib.import_module("runtests")
    seen: dict[str, Any] = {}
    if varies["mode"] != "django":
        seen = watch(varies)
        runtests.ALWAYS_INSTALLED_APPS.append("turbo_orm")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["TMPDIR"] = tempfile.tempdir = temporary
        run(runtests, labels)
    reporting.tell(ended=True, **{name: value() for name, value in seen.items()})
    reporting.hang_up()


def watch(varies: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Put turbo-orm under the tests, and return what is counted meanwhile."""
    from tests.conformance import guard, handlers, modes, reporting, twice

    modes.choose(varies["mode"], varies["patched"])
    guard.install(reporting.name_of_test)
    if varies["twice"]:
        twice.install(reporting.name_of_test)
    return {
        "async_cursors": lambda: guard.async_cursors,
        "sync_cursors": lambda: len(guard.culprits),
        "requests": lambda: handlers.requests,
        "results": lambda: twice.results,
        "rows": lambda: twice.rows,
        "differences": lambda: len(twice.differences),
        "look_ups": look_ups,
    }


def look_ups() -> dict[str, int]:
    """Return how often the query cache was asked, by outcome, and by reason for a bypass."""
    from turbo_orm import cache_info

    info = cache_info()
    return {"hits": info.hits, "misses": info.misses, **info.bypasses}


def run(runtests: Any, labels: list[str]) -> None:
    """Run the labels by the functions of Django's own script."""
    options = dict.fromkeys(inspect.signature(runtests.django_tests).parameters)
    options |= {
        "verbosity": 0,
        "interactive": False,
        "test_labels": labels,
        "parallel": 1,
    }
    runtests.django_tests(**options)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
