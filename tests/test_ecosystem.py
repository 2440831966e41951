"""The harness for other packages' tests: what it expects, and that it would see a difference."""

import sys
from textwrap import dedent

import pytest
from django.conf import settings
from psycopg.conninfo import make_conninfo

from tests.ecosystem import page, process
from tests.ecosystem.expectations import EXPECTED, listed
from tests.ecosystem.packages import PACKAGES, Package, versions
from tests.ecosystem.suite import DJANGO, MODES, Suite

FILES = {
    "app/__init__.py": "",
    "app/settings.py": """
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        INSTALLED_APPS = ("django.contrib.contenttypes", "tests")
        SECRET_KEY = "for tests only"
        DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
    """,
    "tests/__init__.py": "",
    "tests/models.py": """
        from django.db import models

        class Thing(models.Model):
            name = models.CharField(max_length=20)
    """,
    "tests/test_things.py": """
        import sys

        import pytest
        from asgiref.sync import sync_to_async
        from django.db import connection
        from django.test import TestCase

        from tests.models import Thing

        class Things(TestCase):
            @classmethod
            def setUpTestData(cls):
                cls.thing = Thing.objects.create(name="a")

            def test_read(self):
                for _ in range(3):
                    assert Thing.objects.get(name="a") == self.thing
                assert connection.vendor == "postgresql"

            def test_that_there_is_nothing_else(self):
                assert "turbo_orm" not in sys.modules

            def test_extension(self):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 'a.b'::ltree")

            async def test_async(self):
                assert await Thing.objects.acount() == 1

        @pytest.mark.django_db
        async def test_a_coroutine_function():
            await Thing.objects.acreate(name="b")
            assert await sync_to_async(Thing.objects.count)() == 1

        @pytest.mark.parametrize("number", [1, 2])
        def test_numbers(number):
            assert number == 1

        @pytest.mark.skip(reason="no")
        def test_skipped(): ...

        @pytest.mark.xfail(strict=True)
        def test_expected_to_fail():
            raise AssertionError
    """,
}
ONLY_DJANGO = "tests/test_things.py::Things::test_that_there_is_nothing_else"
FAILS = "tests/test_things.py::test_numbers[2]"


@pytest.fixture
def package(tmp_path):
    """The source distribution of a package, and how it is run."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return Package("things", tests=("tests",), settings="app.settings", extensions=("ltree",))


def run(package, folder, suite):
    database = settings.DATABASES["default"]
    names = {"USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    given = {ours: database[name] for name, ours in names.items() if database.get(name)}
    dsn = make_conninfo(**given, dbname="postgres", **database.get("OPTIONS", {}))
    process.run(suite, package, folder, dsn, lambda event: None, python=sys.executable)
    assert suite.errors == []
    return suite


OUTCOMES = {
    "tests/test_things.py::Things::test_async": "passed",
    "tests/test_things.py::Things::test_extension": "passed",
    "tests/test_things.py::Things::test_read": "passed",
    ONLY_DJANGO: "passed",
    "tests/test_things.py::test_a_coroutine_function": "passed",
    "tests/test_things.py::test_numbers[1]": "passed",
    FAILS: "failed",
    "tests/test_things.py::test_skipped": "skipped",
    "tests/test_things.py::test_expected_to_fail": "passed",
}


def test_a_suite_is_run_in_django_alone(package, tmp_path):
    alone = run(package, tmp_path, Suite("things", DJANGO))
    assert alone.outcomes == OUTCOMES
    assert alone.is_good


@pytest.mark.parametrize("mode", MODES)
def test_a_suite_is_run_in_a_mode(mode, package, tmp_path):
    suite = run(package, tmp_path, Suite("things", mode, OUTCOMES))
    assert [*suite.failures] == [ONLY_DJANGO]
    assert not suite.is_good
    assert bool(suite.async_cursors) == (mode != "patched")
    assert bool(suite.results) == (mode == "hot")
    assert (suite.sync_cursors, suite.differences) == (0, 0)
    again = Suite("things", mode, OUTCOMES, {ONLY_DJANGO: "looks for turbo_orm"})
    for test, outcome in suite.outcomes.items():
        again.note(test, outcome, "")
    again.async_cursors = 1
    again.finish()
    assert again.is_good


def test_the_page_says_what_was_recorded():
    assert page.PATH.read_text(encoding="utf-8") == page.text()


def test_the_list_says_why():
    tests = [
        (each.package, test, mode)
        for each in EXPECTED
        for test in each.tests
        for mode in each.modes
    ]
    assert len({*tests}) == len(tests)
    assert all(each.reason and {*each.modes} <= {*MODES} for each in EXPECTED)
    assert {each.package for each in EXPECTED} <= {*PACKAGES}
    (package, test, mode), *_ = tests
    assert test in listed(package, mode)


def test_each_package_has_a_version_and_tests_or_a_reason():
    for package in PACKAGES.values():
        assert bool(package.left_out) or (package.tests and package.version in versions().values())
    assert sum(package.cell == "fast" for package in PACKAGES.values()) == 4


def test_only_some_tests_are_run_with_the_same_options():
    package = Package("things", tests=("tests", "--no-migrations"))
    assert package.only(["a.py"]).tests == ("--no-migrations", "a.py")
    assert package.only([]) == package


@pytest.mark.parametrize(
    ("outcome", "expected", "is_listed", "is_as_expected"),
    [
        ("passed", "passed", False, True),
        ("failed", "passed", False, False),
        ("skipped", "passed", False, False),
        ("failed", "failed", False, True),
        ("passed", "failed", False, True),
        ("failed", "skipped", False, True),
        ("failed", "passed", True, True),
        ("passed", "passed", True, False),
    ],
)
def test_what_is_as_expected(outcome, expected, is_listed, is_as_expected):
    suite = Suite("things", "patched", {"a": expected}, {"a": "a fact"} if is_listed else {})
    assert suite.note("a", outcome, "") == is_as_expected
    suite.finish()
    assert suite.is_good == is_as_expected
    assert suite.counts["new"] == (not is_as_expected)


def test_a_test_that_is_gone_is_an_error():
    suite = Suite("things", "patched", {"a": "passed", "b": "passed"})
    suite.note("a", "passed", "")
    suite.finish()
    assert suite.errors == ["b was not run."]
    assert not suite.is_good


@pytest.mark.parametrize("name", ["sync_cursors", "differences"])
def test_neither_are_sync_cursors_and_differences(name):
    suite = Suite("things", "hot", {"a": "passed"}, async_cursors=1)
    suite.note("a", "passed", "")
    assert suite.is_good
    setattr(suite, name, 1)
    assert not suite.is_good


def test_a_mode_without_async_cursors_is_not_good():
    suite = Suite("things", "bridge", {"a": "passed"})
    suite.note("a", "passed", "")
    assert not suite.is_good
