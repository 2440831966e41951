"""The private names of other packages: each is there, and each that is used is listed."""

import logging
import sys
from importlib.util import find_spec

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.support.private_names import (
    complaint,
    is_there,
    modules_that_use,
    private_uses,
    written,
)
from tests.support.private_names import (
    tables as current,
)
from tests.support.project import APPS, OPTIONAL_APPS, run_in_project
from turbo_orm.patches import private_api, required_names
from turbo_orm.patches.private_api import NAMES, PrivateName

EXPECTED = [
    name
    for name in NAMES
    if name.is_expected
    and (not name.is_optional or find_spec(name.owner.split(".")[0]))
    # tests/geodjango looks at these.
    and not name.owner.startswith("django.contrib.gis")
]

# What has an underscore, and is documented, or is nothing that a release of theirs could change.
DOCUMENTED = {
    "_base_manager": "Django's Model._base_manager",
    "_default_manager": "Django's Model._default_manager",
    "_meta": "Django's Model._meta API",
    "_state": "Django's Model._state",
    "_get_running_loop": "asyncio's, documented for event loops",
    "_log_destroy_pending": "asyncio's own, of tasks; its gather() assigns it, too",
    "_current_frames": "sys._current_frames(), documented",
    "_getframe": "sys._getframe(), documented",
    "_testMethodName": "unittest's, since its beginning; Django's SimpleTestCase uses it, too",
    "_core": "turbo-orm's extension",
    "_replace": "documented of named tuples",
    "_prefetch_related_val_": "a column's name, which shows in the statements that tests compare",
}


@pytest.fixture(scope="module")
def there(tables):
    """Return what there is in a project with all apps whose modules are looked at."""
    code = """
        from tests.support.private_names import is_there
        from turbo_orm.patches.private_api import NAMES

        answer([name.path for name in NAMES if name.is_expected and is_there(name)])
    """
    apps = ["auth", "sessions", "staticfiles"]
    return run_in_project(
        code,
        INSTALLED_APPS=[
            *APPS,
            *(f"django.contrib.{app}" for app in apps),
            "debug_toolbar",
            *OPTIONAL_APPS,
        ],
        STATIC_URL="/static/",
    )


@pytest.mark.parametrize("name", EXPECTED, ids=lambda name: name.path)
def test_it_is_there(name, there):
    assert name.path in there, complaint(name)


GONE = {
    "of a module": PrivateName("django.db.models.query", "_gone", ("orm",)),
    "of a class": PrivateName("django.db.models.query:QuerySet", "_gone", ("orm",)),
    "of instances": PrivateName("psycopg:AsyncConnection", "_gone", ("driver",), is_stored=True),
    "of a class that is gone": PrivateName("psycopg:AsyncGone", "_gone", ("driver",)),
    "of a module that is gone": PrivateName("psycopg_pool.gone", "_gone", ("driver",)),
}


@pytest.mark.parametrize("case", GONE)
def test_one_that_is_gone_is_missed(case):
    assert not is_there(GONE[case])


def test_it_is_said_who_needs_one_that_is_gone():
    name = PrivateName("django.db.models.query:QuerySet", "_fetch_all", ("orm", "patches"))
    said = complaint(name)
    assert said.startswith("django has no django.db.models.query.QuerySet._fetch_all any more")
    assert "turbo_orm.patches.patch_django" in said


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.path)
def test_each_room_uses_what_it_is_listed_for(name):
    rooms = {module.split(".")[1] for module in modules_that_use(name)}
    assert rooms == set(name.used_by)


def test_each_name_is_listed_once():
    paths = [name.path for name in NAMES]
    assert sorted(set(paths)) == sorted(paths)


def test_whatever_is_private_is_listed():
    rooms = {name.name: set[str]() for name in NAMES}
    for name in NAMES:
        rooms[name.name].update(name.used_by)
    missing = {
        (name, module)
        for name, modules in private_uses().items()
        if name not in DOCUMENTED
        for module in modules
        if module.split(".")[1] not in rooms.get(name, ())
    }
    assert missing == set(), "list them in turbo_orm.patches.private_api"


def test_a_use_is_found():
    """A name that is used through getattr(), vars(), an import or an attribute."""
    uses = private_uses()
    assert {"_constructor_args", "_forward_fields_map", "_get_from_db", "_stats"} <= uses.keys()
    assert "_shape" not in uses


def test_the_page_has_them():
    assert written() == current(), "run `make private-api`"


# While turbo-orm runs


def test_all_that_is_needed_is_there():
    required_names.require()


@pytest.fixture
def names(monkeypatch):
    def names(*names):
        monkeypatch.setattr(private_api, "NAMES", names)

    return names


def test_a_name_that_is_needed_and_gone_is_an_error(names):
    names(GONE["of a class"])
    with pytest.raises(ImproperlyConfigured, match=r"django .* has no .*QuerySet\._gone, which"):
        required_names.require()


NOT_LOOKED_AT = {
    "optional": GONE["of a class"]._replace(is_optional=True),
    "of instances": GONE["of instances"],
    "of a module that is not imported": GONE["of a module that is gone"],
    "of newer versions": GONE["of a class"]._replace(since=(98, 0)),
    "of older versions": GONE["of a class"]._replace(until=(1, 0)),
}


@pytest.mark.parametrize("case", NOT_LOOKED_AT)
def test_others_are_no_error(case, names):
    names(NOT_LOOKED_AT[case])
    required_names.require()


def test_an_optional_name_that_is_gone_is_warned_of_once(caplog, monkeypatch):
    monkeypatch.setattr(required_names, "_warned", set())
    with caplog.at_level(logging.WARNING, logger="turbo_orm"):
        for _ in range(2):
            assert not required_names.has("sys", "_gone", without="nothing works")
    assert [record.getMessage() for record in caplog.records] == [
        "There is no sys._gone in the installed version. Without it: nothing works."
    ]
    assert caplog.records[0].name == "turbo_orm"


def test_one_that_is_there_is_not_warned_of(caplog):
    assert required_names.has("sys", "modules", without="nothing works")
    assert required_names.has("django.db.models.query:QuerySet", "_fetch_all", without="nothing")
    assert sys.modules
    assert not caplog.records
