"""A plugin of pytest: it runs the tests in a mode, and tells the parent what becomes of each."""

import faulthandler
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import asgiref.sync
import pytest
from _pytest import main
from django.test import TransactionTestCase
from pytest_django import fixtures
from pytest_django.plugin import blocking_manager_key

from tests.conformance import reporting
from tests.conformance.reporting import tell

type Run = Callable[..., Any]


class _WithDatabase(TransactionTestCase):
    """Stands for a test that has a database: see reporting."""

    def __init__(self, name: str) -> None:
        super().__init__("id")
        self.name = name

    def id(self) -> str:
        return self.name


class _WithoutDatabase:
    def __init__(self, name: str) -> None:
        self.name = name

    def id(self) -> str:
        return self.name


class Plugin:
    """Runs the tests by a function, which has the mode."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._outcome, self._detail = "passed", ""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        # After pytest-django, whose fixture it takes the place of.
        config.pluginmanager.register(_Databases())

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        tell(tests=len(session.items))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Any:
        """Run the tests between making the databases and removing them, outside of the mode."""
        from django.test.utils import setup_databases, teardown_databases

        config = session.config
        aliases, serialized = fixtures._get_databases_for_setup(session.items)
        if config.getvalue("nomigrations"):
            fixtures._disable_migrations()
        with config.stash[blocking_manager_key].unblock():
            made = setup_databases(
                0, False, aliases=aliases, serialized_aliases=serialized or set()
            )
        try:
            return self._run(main.pytest_runtestloop, session)
        finally:
            with config.stash[blocking_manager_key].unblock():
                teardown_databases(made, 0)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        name = item.nodeid
        has_database = fixtures._get_databases_for_test(item)[0]
        reporting.current = (_WithDatabase if has_database else _WithoutDatabase)(name)
        tell(running=name)
        # A test that hangs prints every stack and ends the run.
        faulthandler.dump_traceback_later(reporting._PATIENCE, exit=True)
        self._outcome, self._detail = "passed", ""
        done = yield
        tell(test=name, outcome=self._outcome, detail=self._detail)
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self._outcome == "failed" or report.passed:
            return
        # What is expected to fail, and does, is as it should be.
        if not (report.skipped and hasattr(report, "wasxfail")):
            self._outcome, self._detail = report.outcome, str(report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            name = f"{report.nodeid} (collected)"
            tell(test=name, outcome="failed", detail=str(report.longrepr))

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Call a coroutine function that is a test as Django's test cases do."""
        function = pyfuncitem.obj
        if not inspect.iscoroutinefunction(function):
            return None
        names = inspect.signature(function).parameters
        given = {name: value for name, value in pyfuncitem.funcargs.items() if name in names}
        # What takes its place on the bridge: see leaving.
        asgiref.sync.async_to_sync(function)(**given)
        return True


class _Databases:
    @pytest.fixture(scope="session")
    def django_db_setup(self, django_test_environment: None) -> None:
        """Find the databases made."""
