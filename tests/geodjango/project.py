"""A project with GeoDjango, in a process that finds GDAL and GEOS."""

import json
import os
import subprocess
import sys
from textwrap import dedent
from typing import Any

from tests.support import postgis
from tests.support.project import SET_UP, output, python_path

BEGIN = """
from django.db import connection

django.setup()
from tests.geodjango.compare import *
from turbo_orm.query_cache.cache import cache

# Tests ask twice where a hit is to be seen.
cache.records_at_once = True
"""


def run_in_gis(code: str, databases: dict[str, Any], **changes: Any) -> Any:
    """Run code in a project with the app ``places``, and return what it answers."""
    configuration = {
        "DATABASES": databases,
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": [
            "django.contrib.contenttypes",
            "django.contrib.gis",
            "turbo_orm",
            "tests.geodjango.places",
            # What compares needs it; it has no tables here.
            "tests.library",
        ],
        "SECRET_KEY": "for tests only",
        "TURBO_ORM": {"PATCH_DJANGO": False},
        "USE_TZ": True,
        **postgis.settings(),
        **changes,
    }
    done = subprocess.run(
        [
            *[sys.executable, "-W", "error", "-c"],
            "\n".join([SET_UP, BEGIN, dedent(code)]),
            json.dumps(configuration),
        ],
        env={
            **os.environ,
            **postgis.environment(),
            "PYTHONPATH": os.pathsep.join(python_path()),
        },
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    return json.loads(output(done).splitlines()[-1])
