"""The settings that Django's tests are run with. The worker's arguments say what varies."""

import json
import os

import django

from tests.conformance.labels import GROUPS

_VARIES = json.loads(os.environ["TURBO_ORM_CONFORMANCE"])

DATABASES = _VARIES["databases"]
USE_TZ = _VARIES["use_tz"]
# Those that say where libraries are.
globals().update(_VARIES["settings"])
if _VARIES["mode"] == "django":
    TEST_RUNNER = "tests.conformance.runner.Runner"
else:
    TEST_RUNNER = "tests.conformance.modes.ModeRunner"
    TURBO_ORM = {
        "PATCH_DJANGO": _VARIES["patched"],
        "QUERY_CACHE_ALL_MANAGERS": _VARIES["all_managers"],
    }
if _VARIES["mode"] == "requests-bridge":
    # The middleware and the receivers of the tests are in packages that have the labels' names.
    # Those of asgi look at the threads that they are in.
    listed = [label for label in GROUPS["requests"] if label != "asgi"]
    TURBO_ORM |= {"SYNC_VIEWS": "bridge", "ON_EVENT_LOOP": listed}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SECRET_KEY = "django_tests_secret_key"
# django-async-backend warns of pools, which were none of an event loop of their own once.
ASYNC_BACKEND_DISABLE_POOL_WARNING = True

if django.VERSION < (6, 0):
    DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
