"""The environment that the tests run in: one for all packages, with the wheel of turbo-orm."""

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.conformance.process import ROOT
from tests.ecosystem.packages import CONSTRAINTS, Package

FOLDER = ROOT / ".venvs" / "ecosystem"
#: Where ``make ecosystem`` puts the wheel.
WHEELS = FOLDER / "wheel"

# What every suite is run by.
_COMMON = ("django", "django-async-backend", "psycopg[binary]", "pytest", "pytest-django")


def python() -> Path:
    """Return the interpreter of the environment."""
    return FOLDER / "venv" / "bin" / "python"


def make(packages: Iterable[Package]) -> None:
    """Have the environment hold the wheel, the packages, and what their tests need."""
    if not python().exists():
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", FOLDER / "venv"], check=True
        )
    _install_wheel()
    stamp = FOLDER / "installed"
    has = stamp.read_text(encoding="utf-8").splitlines() if stamp.exists() else []
    if has[:1] != [_pins()]:
        has = [_pins()]
    wanted = [*_COMMON]
    for package in packages:
        wanted += [f"{package.name}=={package.version}", *package.requires]
    lacks = [requirement for requirement in dict.fromkeys(wanted) if requirement not in has]
    if lacks:
        print(f"==> installing {', '.join(lacks)}", flush=True)
        _pip("--constraint", CONSTRAINTS, *lacks)
        stamp.write_text("\n".join([*has, *lacks]) + "\n", encoding="utf-8")


def _install_wheel() -> None:
    wheel = next(WHEELS.glob("*.whl"), None)
    if wheel is None:
        sys.exit(f"There is no wheel in {WHEELS.relative_to(ROOT)}: make ecosystem builds it.")
    stamp, made = FOLDER / "installed-wheel", str(wheel.stat().st_mtime_ns)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != made:
        _pip("--constraint", CONSTRAINTS, "--force-reinstall", "--no-deps", wheel)
        _pip("--constraint", CONSTRAINTS, wheel)
        stamp.write_text(made, encoding="utf-8")


def _pins() -> str:
    return f"# {hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()}"


def _pip(*arguments: str | Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", python(), "install", "--quiet"]
    subprocess.run([*pip, *arguments], check=True)
