"""The transaction of a test case, which async code is in, too.

Django's ``TestCase``, and pytest-django's ``db``, open a transaction for each test and one for its
class, and mark both (``_from_testcase``). One that is marked shares the connection with async code
(**shared_connection**) until it is rolled back. So an async test commits nothing, and sees what
``setUpTestData()`` has written.

The mark is what is replaced: ``django.test`` need not be imported for it.
"""

from __future__ import annotations

from asyncio import _get_running_loop
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.transaction import Atomic

from turbo_orm import bridge
from turbo_orm.backend.handler import may_block_event_loop
from turbo_orm.backend.shared_connection import shared_connections
from turbo_orm.patches.patch import Group, Patch, Replacement

_NAME = "_from_testcase"


class Mark:
    """The attribute by which Django tells the transaction of a test from any other one."""

    def __get__(self, atomic: Any, owner: type | None = None) -> Any:
        return self if atomic is None else atomic.__dict__[_NAME]

    def __set__(self, atomic: Any, is_of_test: bool) -> None:
        atomic.__dict__[_NAME] = is_of_test
        if is_of_test:
            atomic.__class__ = TestAtomic


MARK = Mark()


class TestAtomic(Atomic):
    """Django's ``atomic``, for the transaction of a test: it shares its connection."""

    __test__ = False

    def __enter__(self) -> None:
        with ExitStack() as stack:
            # On the bridge, the connection is the async one. Where Django is told to let code in
            # an event loop wait (``DJANGO_ALLOW_ASYNC_UNSAFE``), it is left to itself.
            if not bridge.active() and not (
                _get_running_loop() is not None and may_block_event_loop()
            ):
                stack.enter_context(shared_connections([self.using or DEFAULT_DB_ALIAS]))
            super().__enter__()
            self._sharing = stack.pop_all()

    def __exit__(self, *exc_info: Any) -> None:
        with self._sharing:
            super().__exit__(*exc_info)


def _patches() -> Iterator[Patch]:
    yield Replacement(
        "django.db.transaction:Atomic",
        _NAME,
        "async code in tests uses the connection of the test's transaction",
        MARK,
        is_stored=True,
    )


GROUP = Group("For test cases", _patches)
