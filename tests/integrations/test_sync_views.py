"""What docs/requests.md says of sync views on the bridge."""

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from tests.library.models import Account
from tests.support.asgi_client import answer
from tests.support.project import APPS, run_in_project
from turbo_orm import on_bridge
from turbo_orm.asgi import get_asgi_application

pytestmark = pytest.mark.usefixtures("scratch")


def place():
    return "loop" if threading.current_thread() is threading.main_thread() else "thread"


def parts():
    for number in range(3):
        yield f"{number} of {Account.objects.count()} in the {place()}, "


@on_bridge
def awaiting(request):
    async def count():
        await asyncio.sleep(0)
        return await Account.objects.acount()

    return HttpResponse(f"{async_to_sync(count)()} in the {place()}")


@on_bridge
def running(request):
    waiting = asyncio.sleep(0)
    try:
        asyncio.run(waiting)
    except RuntimeError as error:
        return HttpResponse(str(error))
    finally:
        waiting.close()


@on_bridge
def streaming(request):
    return StreamingHttpResponse(parts())


async def streaming_sync_parts(request):
    return StreamingHttpResponse(parts())


VIEWS = [awaiting, running, streaming, streaming_sync_parts]
urlpatterns = [path(view.__name__, view) for view in VIEWS]


@pytest.fixture
def ask():
    def ask(view):
        with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost"]):
            application = get_asgi_application()
            status, body = asyncio.run(answer(application, f"/{view.__name__}"))
            assert status == 200
            return body

    return ask


def test_a_coroutine_is_awaited_in_the_task(ask):
    assert ask(awaiting) == "0 in the loop"


def test_an_event_loop_runs_already(ask):
    assert "cannot be called from a running event loop" in ask(running)


def test_parts_are_made_on_the_bridge(ask):
    assert ask(streaming) == "".join(f"{number} of 0 in the loop, " for number in range(3))


def test_parts_of_an_async_view_are_made_in_a_thread_as_with_django(ask):
    with pytest.warns(Warning, match="must consume synchronous iterators"):
        body = ask(streaming_sync_parts)
    assert body == "".join(f"{number} of 0 in the thread, " for number in range(3))


def test_logging_in_can_be_exempted():
    code = """
        import sys
        from types import ModuleType

        from django.contrib import admin
        from django.contrib.auth.views import LoginView
        from django.urls import path, resolve
        from turbo_orm import in_thread
        from turbo_orm.handlers.places import place_of_view

        in_thread(admin.AdminSite.login)
        sys.modules["urls"] = urls = ModuleType("urls")
        urls.urlpatterns = [
            path("accounts/login/", in_thread(LoginView.as_view())),
            path("admin/", admin.site.urls),
        ]
        paths = "/accounts/login/", "/admin/login/", "/admin/"
        answer([place_of_view(resolve(path, "urls").func).value for path in paths])
    """
    contrib = [f"django.contrib.{name}" for name in ("admin", "auth", "messages", "sessions")]
    places = run_in_project(
        code, INSTALLED_APPS=[*contrib, *APPS], TURBO_ORM={"SYNC_VIEWS": "bridge"}
    )
    assert places == ["thread", "thread", "bridge"]
