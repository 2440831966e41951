"""A request that nothing keeps is freed when it is answered, and one that is kept is whole."""

from typing import Any

from tests.support.project import run_in_project
from tests.support.startproject import MIDDLEWARE

_SETTINGS: dict[str, Any] = {
    "ALLOWED_HOSTS": ["testserver"],
    "INSTALLED_APPS": [
        *(f"django.contrib.{app}" for app in ("auth", "contenttypes", "messages", "sessions")),
        "turbo_orm",
    ],
    "MIDDLEWARE": MIDDLEWARE,
    "ROOT_URLCONF": "tests.handlers.kept_views",
    "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
}
_ASK = """
    import asyncio, gc
    from django.contrib.messages import storage
    from tests.handlers import kept_views
    from tests.handlers.asking import HANDLERS, ask

    # What is collected is not freed at once.
    gc.disable()

    async def asked(application, path):
        kept_views.requests.clear()
        kept_views.kept.clear()
        return (await ask(application, "/" + path, signals=False)).compared()
"""


def test_a_request_that_nothing_keeps_is_freed() -> None:
    code = f"""{_ASK}
    async def main():
        found = {{}}
        for name, handler in HANDLERS.items():
            application = handler()
            await asked(application, "untouched")
            for path in [*(view.__name__ for view in kept_views.FREED), "auser", "bridged"]:
                await asked(application, path)
                (request,) = kept_views.requests
                found.setdefault(path, []).append(request() is None)
        return found

    answer(asyncio.run(main()))
    """
    found = run_in_project(code, **_SETTINGS)
    # With Django it takes the garbage collector.
    assert found == {
        path: [False, True] for path in ("untouched", "user", "failing", "auser", "bridged")
    }


def test_what_is_kept_of_a_request_is_djangos() -> None:
    code = f"""{_ASK}
    async def main():
        found = []
        for handler in HANDLERS.values():
            application = handler()
            await asked(application, "untouched")
            seen = []
            for view in kept_views.KEEPING:
                answered = await asked(application, view.__name__)
                (thing,) = kept_views.kept
                seen.append([view.__name__, str(answered), await kept_views.seen(thing)])
            found.append(seen)
        return found

    answer(asyncio.run(main()))
    """
    theirs, ours = run_in_project(code, **_SETTINGS)
    assert len(theirs) == 10
    assert ours == theirs


def test_a_session_without_users_is_freed() -> None:
    code = f"""{_ASK}
    async def main():
        application = HANDLERS["turbo"]()
        freed = []
        for _ in range(3):
            await asked(application, "untouched")
            freed.append(kept_views.requests[0]() is None)
        return freed

    answer(asyncio.run(main()))
    """
    middleware = [each for each in MIDDLEWARE if ".auth." not in each]
    # The first one has its messages made.
    assert run_in_project(code, **{**_SETTINGS, "MIDDLEWARE": middleware})[1:] == [True, True]
