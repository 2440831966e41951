"""What a type checker makes of it: mypy, strict, with the plugin of django-stubs."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from turbo_orm import __file__ as package

pytest.importorskip("mypy", reason="types are checked where mypy and django-stubs are installed")
pytest.importorskip("mypy_django_plugin")

HERE = Path(__file__).parent / "typing"
FILES = sorted(path.name for path in HERE.glob("*.py"))


@pytest.fixture(scope="module")
def errors():
    """What mypy says of the files, by file."""
    command = [sys.executable, "-m", "mypy", "--config-file", HERE / "mypy.ini", "."]
    shown = ["--no-pretty", "--hide-error-context", "--no-error-summary"]
    done = subprocess.run(
        [*command, *shown], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found = defaultdict(list)
    for line in done.stdout.splitlines():
        found[line.partition(":")[0]].append(line)
    assert set(found) <= set(FILES), done.stdout
    return found


@pytest.mark.parametrize("name", FILES)
def test_types(name, errors):
    assert errors[name] == []


def test_the_package_says_that_it_is_typed():
    assert (Path(package).parent / "py.typed").exists()
