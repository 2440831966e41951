"""Django's command line for the atlas: ``python examples/atlas/manage.py tour``."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line


def main() -> None:
    """Make the package ``atlas`` importable from anywhere, and hand over to Django."""
    # Python puts this file's directory first, where `models` would be a second `atlas.models`.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "atlas.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
