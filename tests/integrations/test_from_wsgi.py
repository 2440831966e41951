"""A site that startproject has made, whose sync views are served as docs/from_wsgi.md says."""

import json
import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from tests.support.project import databases, run_python

DOCUMENTED = Path(__file__).resolve().parent.parent.parent / "docs" / "from_wsgi.md"
SCHEMA = "from_wsgi"

VISIT = """
import asyncio
import json
import os
import sys

sys.path.insert(0, sys.argv[1])
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"

from mysite.asgi import application

from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.management import call_command
from django.db import connections
from django.test import Client
from tests.support.asgi_client import answer
from tests.support.event_loop import only_the_event_loop

call_command("check", fail_level="INFO")
call_command("migrate", verbosity=0)
browser = Client()
browser.force_login(User.objects.create_superuser("root"))
cookie = f"sessionid={browser.cookies['sessionid'].value}"
connections.close_all()

async def main():
    found = []
    for path, cookies in (("/admin/", ""), ("/admin/", cookie), ("/admin/auth/user/", cookie)):
        status, body = await answer(application, path, cookies)
        found.append([status, "Log out" in body])
    return found

async def static():
    both = ASGIStaticFilesHandler(application)
    status, body = await answer(both, "/static/admin/css/base.css")
    return [[status, "body" in body], list(await answer(both, "/admin/"))]

with only_the_event_loop():
    found = asyncio.run(main())
found += asyncio.run(static())
User.objects.all().delete()
connections.close_all()
print(json.dumps(found))
"""


@pytest.fixture
def schema(tables):
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.mark.parametrize("more", [{}, {"PATCH_DJANGO": False}])
def test_a_new_site(more, schema, tmp_path):
    """None of it needs a thread: the admin's views, sessions, users, the middleware."""
    call_command("startproject", "mysite", tmp_path)
    site = tmp_path / "mysite"
    page = DOCUMENTED.read_text(encoding="utf-8")
    (documented,) = re.findall(r'title="mysite/asgi.py"\n(.*?)```', page, re.DOTALL)
    (site / "asgi.py").write_text(documented, encoding="utf-8")
    with (site / "settings.py").open("a", encoding="utf-8") as settings:
        entry = databases()["default"]
        entry["OPTIONS"] = {**entry.get("OPTIONS", {}), "options": f"-c search_path={SCHEMA}"}
        settings.write(f"DATABASES = {{'default': {entry!r}}}\n")
        settings.write("INSTALLED_APPS.append('turbo_orm')\n")
        settings.write("ASGI_APPLICATION = 'mysite.asgi.application'\n")
        settings.write("ALLOWED_HOSTS = ['localhost', 'testserver']\n")
        # The templates of the admin are compiled at first, however long that takes.
        turbo_orm = {"SYNC_VIEWS": "bridge", "LOOP_WATCHDOG": 10_000, **more}
        settings.write(f"TURBO_ORM = {turbo_orm!r}\n")
    found = json.loads(run_python(VISIT, str(tmp_path)).splitlines()[-1])
    assert found == [[302, False], [200, True], [200, True], [200, True], [302, ""]]
