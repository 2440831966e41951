"""Django's tests: they are in its source distribution, and in no wheel."""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

CACHE = Path(__file__).resolve().parent.parent.parent / ".cache"


def folder() -> Path:
    """Return the folder with the tests of the Django that is installed. They are fetched once."""
    version = django.get_version()
    found = CACHE / f"django-{version}" / "tests"
    if not found.exists():
        print(f"==> fetching the tests of Django {version}", flush=True)
        _fetch(version)
    return found


def _fetch(version: str) -> None:
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run(
            [*pip, "--no-binary", "django", "--dest", temporary, f"django=={version}"], check=True
        )
        archive = next(Path(temporary).glob("*.tar.gz"))
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        # All or nothing: who looks next must not find half of it.
        (Path(temporary) / archive.name.removesuffix(".tar.gz")).rename(
            CACHE / f"django-{version}"
        )
