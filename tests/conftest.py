"""A real PostgreSQL, a configured Django, and a loop on which nothing may leave the loop's thread.

``TURBO_ORM_TEST_DSN`` names a server; otherwise the embedded one is started. Each process that
runs tests makes two databases of its own there and drops them at the end. With pytest-xdist these
processes are the workers; the controller starts the server, and gives them its DSN.
"""

import os
from collections.abc import Iterator
from typing import Any

import django
import psycopg
import pytest
from django.conf import settings

from atlas.postgres import server_dsn
from tests.support import databases, event_loop

# So that its assertions say what differs.
pytest.register_assert_rewrite(
    "tests.support.chains", "tests.support.reading", "tests.support.scenario"
)

# The longest files, which workers begin with: none is still at one when the others have finished.
LONGEST = [
    "tests/test_typing.py",
    "tests/topology/test_soak.py",
    "tests/faults/test_soak.py",
    "tests/test_pytest_django.py",
]

_DSN = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="DIRECTORY", help="where test_browser.py puts some")


def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", {})
    config.stash[_DSN] = dsn = given.get("dsn") or server_dsn("TURBO_ORM_TEST_DSN")
    if is_controller(config):
        # Workers begin with the files that come first. The tests of a worker that dies fail:
        # pytest-xdist cannot give its files to a new one.
        config.option.loadscopereorder = False
        config.option.maxworkerrestart = "0"
    else:
        configure_django(databases.create(dsn))


def is_controller(config: pytest.Config) -> bool:
    """Return whether this process has workers run the tests."""
    return bool(config.getoption("tx", None)) and not hasattr(config, "workerinput")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Have one more than there are processors: tests wait for servers, too."""
    return int(os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS", (os.cpu_count() or 1) + 1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have a worker run whole files."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker the server's DSN."""
    node.workerinput["dsn"] = node.config.stash[_DSN]


def configure_django(found: dict[str, Any]) -> None:
    settings.configure(
        DATABASES=found,
        # django-async-backend warns of pools, which were none of an event loop of their own once.
        ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.postgres",
            "turbo_orm",
            "atlas",
            "tests.library",
            "tests.plain",
        ],
        # Without migrations of its own, so that the tables of the test app can refer to it.
        MIGRATION_MODULES={"contenttypes": None},
        SECRET_KEY="for tests only",
        # Pillow looks into the files of an ImageField, and no test has any.
        SILENCED_SYSTEM_CHECKS=["fields.E210"],
        # Querysets of Django's own class give Django's own answers, with which ours are compared.
        TURBO_ORM={"PATCH_DJANGO": False},
        USE_TZ=True,
    )
    django.setup()
    from turbo_orm.query_cache.cache import cache

    # Tests ask twice where a hit is to be seen. Those of the second sight set it themselves.
    cache.records_at_once = True


def pytest_unconfigure(config: pytest.Config) -> None:
    dsn = config.stash.get(_DSN, None)
    if dsn is not None and not is_controller(config):
        databases.drop(dsn)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


@pytest.fixture(scope="session", autouse=True)
def tables() -> None:
    """Make the tables of all apps in both databases."""
    from django.core.management import call_command

    for alias in databases.NAMES:
        call_command("migrate", database=alias, run_syncdb=True, verbosity=0)


@pytest.fixture(scope="session", autouse=True)
def projects() -> Iterator[None]:
    """End the process that projects are forked of."""
    from tests.support.forks import end

    yield
    end()


@pytest.fixture(scope="session")
def library(tables: None) -> None:
    """Fill the tables that the tests only read."""
    from tests.library.data import fill

    fill()


@pytest.fixture(scope="session")
def extended(library: None) -> None:
    """Make and fill the tables that have types of extensions."""
    from django.db import connection

    from tests.library.rows import EXTENDED

    with connection.cursor() as cursor:
        cursor.execute("SELECT extname FROM pg_extension")
        missing = {*databases.EXTENSIONS} - {name for (name,) in cursor.fetchall()}
    if missing:
        pytest.skip(f"the server does not have {' and '.join(sorted(missing))}")
    for model, rows in EXTENDED.items():
        with connection.schema_editor() as editor:
            editor.create_model(model)
        for row in rows:
            model.objects.create(**row)


@pytest.fixture(scope="session")
def driver(tables: None) -> Iterator[psycopg.Connection]:
    """Connect as psycopg does without Django, under its own adapters, in UTC."""
    from django.db import connections

    from turbo_orm.driver import libpq

    libpq.bind()
    parameters = connections["default"].get_connection_params()
    names = {"dbname", "user", "password", "host", "port"} & set(parameters)
    with psycopg.connect(**{name: parameters[name] for name in names}, autocommit=True) as driver:
        driver.execute("SET TIME ZONE 'UTC'")
        yield driver


@pytest.fixture
def empty_cache() -> Iterator[None]:
    """Have the query cache empty, and leave nothing there."""
    from turbo_orm.query_cache.cache import cache

    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def scratch(tables: None) -> None:
    """Have the tables that tests write to empty, and their keys begin at 1."""
    from tests.support.tables import empty

    for alias in databases.NAMES:
        empty(alias)


@pytest.fixture
def run() -> event_loop.Run:
    """Return a function that runs a coroutine function on an event loop, and guards it.

    While it runs, a thread pool, ``sync_to_async()`` and a sync cursor are errors. Its
    connections are closed at the end, and have to be in a state to be.
    """
    return event_loop.run


@pytest.fixture
def read(library: None, run: event_loop.Run) -> Any:
    """Return a function that reads a queryset in every way, and compares with Django's answer."""
    from tests.support.reading import Read

    return Read(run)


@pytest.fixture
def play(tables: None, run: event_loop.Run) -> Any:
    """Return a function that plays a scenario by Django and by turbo-orm, and compares."""
    from tests.support.scenario import Play
    from tests.support.tables import empty

    return Play(run, lambda: empty("default"))


@pytest.fixture
def chains(library: None, run: event_loop.Run) -> Any:
    """Return a function that plays a chain with one value after another, and compares."""
    from tests.support.chains import Chains

    return Chains(run)
