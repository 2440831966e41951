"""The ways to put turbo-orm under Django's tests, which know nothing of it."""

import asyncio
from collections.abc import Callable
from typing import Any

from django.db import connections, models
from django.db.models.query import RawQuerySet

from tests.conformance import driving, handlers, leaving, lending
from tests.conformance.runner import Runner
from turbo_orm import AsyncManager, bridge
from turbo_orm.backend import shared_connection
from turbo_orm.orm.queryset import AsyncQuerySet
from turbo_orm.orm.raw import AsyncRawQuerySet


class Mode:
    """A way. It is prepared before the first model is made."""

    def __init__(self, is_patched: bool) -> None:
        self.is_patched = is_patched

    def prepare(self) -> None:
        if not self.is_patched:
            self.queryset_class = _replace_classes()
        else:
            self.queryset_class = models.QuerySet

    def prepare_tests(self) -> None:
        """Go on when all models are loaded."""

    def run(self, run_suite: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the tests."""
        return run_suite(*args, **kwargs)


class Driven(Mode):
    """Sync methods drive their async namesakes, on the connection of the test."""

    drive: driving.Drive

    def prepare(self) -> None:
        super().prepare()
        lending.lend()
        driving.wait_blocking(shared_connection._AsyncView)
        driving.drive_everything(self.queryset_class, self.drive)

    def prepare_tests(self) -> None:
        driving.drive_generic_relations(self.drive)


class Hot(Driven):
    """Without an event loop: what waits for the server blocks."""

    drive = staticmethod(driving.without_loop)


class Loop(Driven):
    """Each call on an event loop."""

    drive = staticmethod(driving.on_loop)


class Bridge(Mode):
    """The whole suite on the bridge, in one task, on an async connection of its own."""

    def prepare(self) -> None:
        super().prepare()
        leaving.have_tests_wait()

    def run(self, run_suite: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def run_and_close() -> Any:
            # As there are by now in Django, which has made the databases on its own.
            list(connections.all())
            try:
                return run_suite(*args, **kwargs)
            finally:
                # A cursor that a test has left open would keep its connection.
                connections.close_all()

        # Tests have another one by now: see leaving.
        with asyncio.Runner() as runner:
            return runner.run(bridge.run(run_and_close))


class Requests(Mode):
    """Requests are handled by turbo-orm's handlers, and sync views run in a thread."""

    def prepare(self) -> None:
        super().prepare()
        lending.lend()
        handlers.replace()


class RequestsBridge(Bridge):
    """The same for the whole suite on the bridge, where sync views are, too."""

    def prepare(self) -> None:
        super().prepare()
        handlers.replace()


def _replace_classes() -> type:
    """Have each model that names no manager have an AsyncManager, and Django's be one."""
    djangos_queryset, djangos_manager = models.QuerySet, models.Manager
    queryset_class = _named("QuerySet", AsyncQuerySet, djangos_queryset, {})
    manager_class = _named(
        "Manager", AsyncManager, djangos_manager, {"_queryset_class": queryset_class}
    )
    driving.replace_everywhere("QuerySet", djangos_queryset, queryset_class)
    driving.replace_everywhere("Manager", djangos_manager, manager_class)
    raw_class = _named("RawQuerySet", AsyncRawQuerySet, RawQuerySet, {})
    driving.replace_everywhere("AsyncRawQuerySet", AsyncRawQuerySet, raw_class)
    # Classes that were derived from Django's before.
    djangos_manager._queryset_class = queryset_class
    return queryset_class


def _named(name: str, base: Any, original: type, attributes: dict[str, Any]) -> Any:
    """Derive a class that passes for Django's: in a repr(), a pickle or a migration."""
    return type(name, (base,), {"__module__": original.__module__, **attributes})


class ModeRunner(Runner):
    """Runs the tests in the mode that was chosen."""

    def setup_test_environment(self, **kwargs: Any) -> None:
        super().setup_test_environment(**kwargs)
        chosen.prepare_tests()

    def run_suite(self, suite: Any, **kwargs: Any) -> Any:
        return chosen.run(super().run_suite, suite, **kwargs)


BY_NAME = {"hot": Hot, "loop": Loop, "bridge": Bridge}
BY_NAME |= {"requests": Requests, "requests-bridge": RequestsBridge}

#: The mode of this process.
chosen: Mode


def choose(name: str, is_patched: bool) -> None:
    """Put turbo-orm under the tests that this process is going to run."""
    global chosen
    chosen = BY_NAME[name](is_patched)
    chosen.prepare()
