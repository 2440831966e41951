"""How many Python functions a request calls, and what it finds of asgiref's storage."""

import asyncio
from typing import Any

from asgiref.local import Local

from tests.support.project import run_in_project
from tests.support.startproject import MIDDLEWARE
from turbo_orm.handlers.local_storage import is_empty

_CODE = """
    import asyncio
    from tests.handlers.asking import HANDLERS, ask
    from tests.support.counting import calls

    async def count(name):
        application = HANDLERS[name]()
        for _ in range(3):
            await ask(application, "/untouched", is_local=None, signals=False)
        called = []
        # Of all threads: Django has one for each request.
        with calls(None, lambda code: called.append(code.co_qualname)):
            answered = await ask(application, "/untouched", is_local=None, signals=False)
        return answered.status, len(called), called

    answer([asyncio.run(count(name)) for name in HANDLERS])
"""
#: Those of a request are a few less, with whatever Django.
_MOST = 250


def test_a_request_calls_few_functions() -> None:
    settings: dict[str, Any] = {
        "ALLOWED_HOSTS": ["testserver"],
        "INSTALLED_APPS": ["django.contrib.messages", "django.contrib.sessions", "turbo_orm"],
        "MIDDLEWARE": [each for each in MIDDLEWARE if ".auth." not in each],
        "ROOT_URLCONF": "tests.handlers.message_views",
    }
    (status, theirs, names), (_, ours, called) = run_in_project(_CODE, **settings)
    assert status == 200
    assert ours < _MOST < theirs
    idle = {
        "BaseStorage.__init__",
        "BaseStorage.update",
        "SessionMiddleware.process_response",
        "close_caches",
        "close_old_connections",
    }
    assert idle <= {*names}
    assert not idle & {*called}


def test_storage_is_empty_until_something_is_set() -> None:
    local: Any = Local()

    async def within() -> list[bool]:
        found = [is_empty(local)]
        local.value = 1
        return [*found, is_empty(local)]

    assert is_empty(local)
    assert asyncio.run(within()) == [True, False]
    assert is_empty(local)
    # It may have something.
    assert not is_empty(Local(thread_critical=True))
    assert not is_empty(object())
