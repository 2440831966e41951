"""Both handlers, asked the same."""

import asyncio
import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import django
import pytest
from django.test import override_settings


@contextmanager
def leaving_open() -> Iterator[None]:
    """Allow Django to leave open what is closed by the garbage collector.

    Connections of threads, which make a list of a stream, or in which error views are called; and
    before 6.1 the body of a request that raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _frozen(tables: None) -> Iterator[None]:
    """Have each collection of a module's tests look only at what they leave."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _project() -> Any:
    with override_settings(
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF="tests.handlers.urls",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    ):
        yield
    urls = sys.modules.get("tests.handlers.urls")
    while urls is not None and urls.unawaited:
        urls.unawaited.pop().close()


@pytest.fixture
def both(tables: None) -> Any:
    """Return a function that asks Django's handler and ours, compares, and returns our answers.

    It takes paths, and options for each. The answers are the same, and so is what is in the table
    of accounts afterwards, and in the list ``after``, which is emptied. ``leaks`` is for what
    leaves connections open by Django's own handler.
    """
    from django.core.cache import cache

    from tests.handlers.asking import HANDLERS, Answer, ask
    from tests.library.models import Account
    from tests.support.tables import empty

    async def answers(handler: Any, paths: Any, kwargs: Any) -> list[Answer]:
        application = handler()
        async with asyncio.timeout(20):
            return [await ask(application, path, **kwargs) for path in paths]

    def both(
        *paths: str,
        same: Any = Answer.compared,
        after: Any = (),
        leaks: bool = False,
        **kwargs: Any,
    ) -> Any:
        found = {}
        if after:
            # Another test may have left something.
            after.clear()
        for name, handler in HANDLERS.items():
            empty("default")
            cache.clear()
            with leaving_open() if leaks or django.VERSION < (6, 1) else nullcontext():
                last = asyncio.run(answers(handler, paths, kwargs))
            accounts = list(Account.objects.order_by("pk").values_list("owner", flat=True))
            found[name] = [same(answer) for answer in last], accounts, list(after)
            if after:
                after.clear()
        for ours, djangos in zip(found["turbo"][0], found["django"][0], strict=True):
            assert ours == djangos
        assert found["turbo"][1:] == found["django"][1:]
        return last if len(last) > 1 else last[0]

    return both
