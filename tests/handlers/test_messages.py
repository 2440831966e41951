"""The storage of messages, which is made when it is touched, is as that of Django's handler."""

from typing import Any

import pytest

from tests.support.project import run_in_project

_STORAGE = "django.contrib.messages.storage"
_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
_SETTINGS: dict[str, Any] = {
    "ALLOWED_HOSTS": ["testserver"],
    "INSTALLED_APPS": ["django.contrib.messages", "django.contrib.sessions", "turbo_orm"],
    "MIDDLEWARE": [_SESSIONS, _MESSAGES],
    "ROOT_URLCONF": "tests.handlers.message_views",
    "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
}

_ASK = """
    import asyncio, re
    from tests.handlers.asking import in_both
    from tests.handlers.message_views import VIEWS

    def compared(answer):
        return str(answer.compared())

    async def both():
        # Twice: the first request is Django's in any case.
        paths = [(("/" + view.__name__,), {}) for view in VIEWS for _ in range(2)]
        theirs, ours = await in_both(*paths, (("/shown",), {}))
        return [*map(compared, theirs)], [*map(compared, ours)]
"""


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="fallback"),
        pytest.param({"MESSAGE_STORAGE": f"{_STORAGE}.session.SessionStorage"}, id="session"),
        pytest.param({"MESSAGE_STORAGE": f"{_STORAGE}.cookie.CookieStorage"}, id="cookie"),
        pytest.param(
            {"MESSAGE_STORAGE": "tests.handlers.message_views.OwnStorage"}, id="of the project"
        ),
        pytest.param(
            {"MIDDLEWARE": [_SESSIONS, _MESSAGES, "tests.handlers.message_views.AddsOne"]},
            id="touched by middleware",
        ),
        pytest.param({"MIDDLEWARE": [_MESSAGES]}, id="without sessions"),
        pytest.param({"SECRET_KEY": ""}, id="without a key"),
    ],
)
def test_messages_are_djangos(changes: dict[str, Any]) -> None:
    code = f"{_ASK}\n    answer(asyncio.run(both()))"
    theirs, ours = run_in_project(code, **{**_SETTINGS, **changes})
    assert len(theirs) > 20
    assert ours == theirs


def test_a_storage_is_made_when_it_is_touched() -> None:
    code = f"""{_ASK}
    from django.contrib.messages.storage.base import BaseStorage
    from tests.handlers.asking import HANDLERS, ask
    from tests.support.counting import calls

    made = []
    code = BaseStorage.__init__.__code__

    async def count(path):
        application = HANDLERS["turbo"]()
        await ask(application, "/untouched")
        made.clear()
        with calls([code], made.append):
            answered = await ask(application, path)
        assert answered.status == 200
        return len(made)

    answer([asyncio.run(count(path)) for path in ("/untouched", "/seen", "/added")])
    """
    # That of both, and of each of the two.
    assert run_in_project(code, **_SETTINGS) == [0, 3, 3]


@pytest.mark.parametrize(
    "replace",
    [
        "mock.patch('django.contrib.messages.middleware.default_storage', CookieStorage)",
        "mock.patch.object(FallbackStorage, '__init__', replaced)",
        "override_settings(MESSAGE_STORAGE='tests.handlers.message_views.OwnStorage')",
    ],
)
def test_a_storage_that_is_replaced_is_made_at_once(replace: str) -> None:
    code = f"""{_ASK}
    from unittest import mock
    from django.contrib.messages.storage.cookie import CookieStorage
    from django.contrib.messages.storage.fallback import FallbackStorage
    from django.test import override_settings
    from tests.handlers.asking import HANDLERS, ask

    made = []
    djangos = FallbackStorage.__init__

    def replaced(storage, request):
        made.append(storage)
        djangos(storage, request)

    async def main():
        found = []
        for handler in HANDLERS.values():
            application = handler()
            before = [compared(await ask(application, "/typed")) for _ in range(2)]
            with {replace}:
                within = [compared(await ask(application, "/typed")) for _ in range(2)]
                within += [compared(await ask(application, "/untouched")), len(made)]
                made.clear()
            found.append([before, within, compared(await ask(application, "/typed"))])
        return found

    answer(asyncio.run(main()))
    """
    theirs, ours = run_in_project(code, **_SETTINGS)
    assert ours == theirs
