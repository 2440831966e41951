"""What type checkers make of it: mypy, strict, with the plugin of django-stubs, and pyright.

basedpyright stands for pyright and Pylance: its checker is theirs, and it brings its own node.
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import get_type_hints

import pytest

from turbo_orm import __file__ as package
from turbo_orm import conf

HERE = Path(__file__).parent / "typing"
FILES = sorted(path.name for path in HERE.glob("*.py"))


@pytest.fixture(scope="module")
def errors():
    """What mypy says of the files, by file."""
    pytest.importorskip("mypy", reason="mypy and django-stubs are not installed")
    pytest.importorskip("mypy_django_plugin")
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


def test_pyright():
    pytest.importorskip("basedpyright", reason="basedpyright is not installed")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--project", "pyright"]
    done = subprocess.run(
        [*command, "--pythonpath", sys.executable],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    assert found["generalDiagnostics"] == []
    checked = len([*HERE.glob("pyright/*.py")]) + 3  # those that pyrightconfig.json adds
    assert found["summary"]["filesAnalyzed"] == checked


def test_the_settings_have_types():
    assert set(get_type_hints(conf.Settings)) == set(conf.DEFAULTS)


def test_the_package_says_that_it_is_typed():
    assert (Path(package).parent / "py.typed").exists()
