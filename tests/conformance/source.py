"""Source distributions, which have the tests: there are none in wheels. Here, Django's."""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

CACHE = Path(__file__).resolve().parent.parent.parent / ".cache"


def folder() -> Path:
    """Return the folder with the tests of the Django that is installed. They are fetched once."""
    return distribution("django", django.get_version(), CACHE) / "tests"


def distribution(name: str, version: str, within: Path) -> Path:
    """Return the folder of a source distribution, which is fetched once into another."""
    found = within / f"{name}-{version}"
    if not found.exists():
        print(f"==> fetching the tests of {name} {version}", flush=True)
        _fetch(name, version, found)
    return found


def _fetch(name: str, version: str, into: Path) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent) as temporary:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--no-binary", name, "--dest", temporary]
        subprocess.run([*pip, f"{name}=={version}"], check=True)
        archive = next(Path(temporary).glob("*.tar.gz"))
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        # All or nothing: who looks next must not find half of it.
        (Path(temporary) / archive.name.removesuffix(".tar.gz")).rename(into)
