"""The recipe for pytest-django and pytest-asyncio, as users have it: a project, and its tests."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.support.project import APPS, ROOT, databases

SETTINGS = """
import json
vars().update(json.loads({!r}))
"""

CONFIGURATION = """
[pytest]
DJANGO_SETTINGS_MODULE = settings
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
addopts = -p no:cacheprovider
filterwarnings =
    error
"""

TESTS = """
import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction

from tests.library.models import Account
from turbo_orm import async_atomic


@pytest.fixture
def ada(db):
    return Account.objects.create(owner="Ada")


@pytest.fixture
async def bo(db):
    return await Account.objects.acreate(owner="Bo")


@pytest.mark.django_db
async def test_marked():
    await Account.objects.acreate(owner="Cy")
    assert await Account.objects.acount() == 1


@pytest.mark.django_db
async def test_marked_again():
    await Account.objects.acreate(owner="Cy")
    assert await Account.objects.acount() == 1


async def test_fixtures(ada, bo):
    found = await asyncio.gather(Account.objects.order_by("pk").alist(), Account.objects.acount())
    assert found == [[ada, bo], 2]
    assert await sync_to_async(Account.objects.count)() == 2


@pytest.mark.django_db
async def test_transactions(ada, django_assert_num_queries):
    with pytest.raises(IntegrityError):
        async with async_atomic():
            await Account.objects.acreate(owner="Ada")
    with django_assert_num_queries(1):
        assert await Account.objects.acount() == 1


@pytest.mark.django_db
async def test_functions_that_wait_for_the_commit(ada, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        async with async_atomic():
            transaction.on_commit(lambda: None)
    assert len(callbacks) == 1


def test_sync_code(ada):
    assert Account.objects.count() == 1


@pytest.mark.django_db
async def test_a_view(async_client, settings):
    settings.ROOT_URLCONF = "urls"
    response = await async_client.get("/")
    assert response.json() == {"count": 1}
    assert await Account.objects.acount() == 1


@pytest.mark.django_db(transaction=True)
async def test_committing():
    async def create(owner):
        async with async_atomic():
            await Account.objects.acreate(owner=owner)
            await barrier.wait()

    barrier = asyncio.Barrier(2)
    await asyncio.gather(create("Ada"), create("Bo"))
    assert await Account.objects.acount() == 2


async def test_the_transactional_fixture(transactional_db):
    await asyncio.gather(*[Account.objects.acreate(owner=f"{n}") for n in range(3)])
    assert await Account.objects.acount() == 3


@pytest.mark.django_db
async def test_nothing_was_left():
    assert await Account.objects.acount() == 0


async def test_without_a_database():
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        await Account.objects.acount()
"""

URLS = """
from django.http import JsonResponse
from django.urls import path
from tests.library.models import Account

async def view(request):
    await Account.objects.acreate(owner="by the view")
    return JsonResponse({"count": await Account.objects.acount()})

urlpatterns = [path("", view)]
"""


def test_the_recipe(tmp_path, tables):
    pytest.importorskip("pytest_django")
    pytest.importorskip("pytest_asyncio")
    configuration = {
        "DATABASES": databases(),
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": APPS,
        "MIGRATION_MODULES": {"contenttypes": None},
        "SECRET_KEY": "for tests only",
        "USE_TZ": True,
    }
    # Created and dropped by pytest-django.
    configuration["DATABASES"]["default"]["TEST"] = {"NAME": f"turbo_orm_recipe_{os.getpid()}"}
    del configuration["DATABASES"]["other"], configuration["DATABASES"]["pooled"]
    files = {
        "settings.py": SETTINGS.format(json.dumps(configuration)),
        "pytest.ini": CONFIGURATION,
        "urls.py": URLS,
        "test_accounts.py": TESTS,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    path = [str(tmp_path), str(ROOT), str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = len(re.findall(r"^(?:async )?def test_", TESTS, re.MULTILINE))
    assert f"{passed} passed" in done.stdout
