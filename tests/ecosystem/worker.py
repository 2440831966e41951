"""A process that runs a package's tests: ``python -m tests.ecosystem.worker ARGUMENT …``.

It runs in the environment of the tests, in the folder of the source distribution. The arguments
are pytest's, and what varies is in the environment.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

_VARIABLE = "TURBO_ORM_ECOSYSTEM"


def main(arguments: list[str]) -> int:
    varies = json.loads(os.environ.pop(_VARIABLE))
    import pytest

    from tests.conformance import reporting
    from tests.ecosystem import overriding, plugin

    seen: dict[str, Callable[[], Any]] = {}
    run: plugin.Run = _call
    mode = varies["mode"]
    overriding.have(varies["database"], mode != "django", varies["override"])
    if mode not in ("django", "patched"):
        from tests.conformance import modes, worker

        seen = worker.watch({**varies, "patched": varies["is_patched"]})
        run = modes.chosen.run
        overriding.when_loaded(_prepare_tests)
    if varies["extensions"]:
        overriding.have_extensions(varies["extensions"])
    _leave(varies["root"])
    sys.path[:0] = [os.path.abspath(each) for each in (*varies["path"], "")]
    if varies["configure"]:
        _configure(*varies["configure"].split(":"))
    code = pytest.main(arguments, plugins=[plugin.Plugin(run)])
    reporting.tell(ended=True, **{name: value() for name, value in seen.items()})
    reporting.hang_up()
    return 0 if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) else int(code)


def _configure(module: str, name: str) -> None:
    import django
    from django.conf import settings

    settings.configure(**getattr(importlib.import_module(module), name)())
    django.setup()


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def _prepare_tests() -> None:
    from django.apps import apps

    from tests.conformance import modes

    if apps.is_installed("django.contrib.contenttypes"):
        modes.chosen.prepare_tests()


def _leave(root: str) -> None:
    """Leave the name ``tests`` to the package. What is imported of ours remains so."""
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != root]
    os.environ.pop("PYTHONPATH", None)
    sys.modules.pop("tests", None)
    importlib.invalidate_caches()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
