"""What `make matrix` and `make wheel` share: the Pythons that are here, and a wheel for each."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venvs"
OLDEST_PYTHON = 12
PIP = [sys.executable, "-m", "pip"]


def find_pythons() -> dict[str, Path]:
    """Return the interpreters by version ("3.12"), lowest first: from PATH, then from pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[str, Path] = {}
    for minor in range(OLDEST_PYTHON, OLDEST_PYTHON + 10):
        version = f"3.{minor}"
        on_path = shutil.which(f"python{version}")
        candidates = [Path(on_path)] if on_path else []
        candidates += sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
        # A pyenv shim stands on PATH for versions that are not selected, too; it fails when run.
        runs = next((path for path in candidates if reported_version(path) == version), None)
        if runs:
            found[version] = runs
    return found


def reported_version(python: Path) -> str:
    code = 'import sys; print("%d.%d" % sys.version_info[:2])'
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def build_wheel(version: str, python: Path, directory: Path) -> Path:
    """Build the wheel into a directory that has none of this Python yet."""
    say(f"building the wheel for Python {version}")
    tag = f"cp{version.replace('.', '')}"
    for old in directory.glob(f"*-{tag}-*.whl"):
        old.unlink()
    maturin = Path(sys.executable).parent / "maturin"
    # Cargo's cache holds the build for one interpreter at a time, so each has its own.
    target = ROOT / "target" / f"py{version}"
    run(
        [maturin, "build", "--release", "--quiet", "--interpreter", python, "--out", directory],
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    return next(directory.glob(f"*-{tag}-*.whl"))


def run(command: list[Any], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, check=True, **options)


def say(what: str) -> None:
    print(f"==> {what}", flush=True)
