"""Async views that are ``lazy_loading`` functions, by the decorator and by the setting."""

import asyncio
import inspect

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from tests.library.models import Account, Book
from tests.support.event_loop import only_the_event_loop
from turbo_orm import lazy_loading
from turbo_orm.backend.task_connections import async_connections

pytestmark = pytest.mark.usefixtures("library")


class OfNoAccount(Exception):
    """Raised by the tests alone."""


def authors(view, request):
    return HttpResponse(",".join({book.author.name for book in Book.objects.all()}))


class ByMethod(View):
    @lazy_loading
    async def get(self, request):
        return authors(self, request)


class ByMethodDecorator(View):
    @method_decorator(lazy_loading)
    async def get(self, request):
        return authors(self, request)


@method_decorator(lazy_loading, name="get")
class ByNameOfMethod(View):
    async def get(self, request):
        return authors(self, request)


@method_decorator([lazy_loading], name="dispatch")
class ByDispatch(View):
    async def get(self, request):
        return authors(self, request)


class ByItsDispatch(View):
    @lazy_loading
    async def dispatch(self, request):
        return await super().dispatch(request)

    async def get(self, request):
        return authors(self, request)


class Plain(View):
    async def get(self, request):
        return authors(self, request)


@method_decorator(lazy_loading, name="dispatch")
class Sync(View):
    def get(self, request):
        return authors(self, request)


async def function(request):
    return authors(None, request)


VIEWS = {
    "by_method": ByMethod.as_view(),
    "by_method_decorator": ByMethodDecorator.as_view(),
    "by_name_of_method": ByNameOfMethod.as_view(),
    "by_dispatch": ByDispatch.as_view(),
    "by_its_dispatch": ByItsDispatch.as_view(),
    "around": lazy_loading(Plain.as_view()),
    "function": lazy_loading(function),
}


async def answer(view):
    request = AsyncRequestFactory().get("/")
    return len((await view(request)).content.split(b","))


@pytest.mark.parametrize("view", VIEWS)
def test_views(view, run):
    assert inspect.iscoroutinefunction(VIEWS[view])
    assert run(lambda: answer(VIEWS[view])) == 5


def test_the_dispatch_of_a_sync_view_is_refused(run):
    async def ask():
        with pytest.raises(TypeError, match="run_sync"):
            await Sync.as_view()(AsyncRequestFactory().get("/"))

    run(ask)


# TURBO_ORM["LAZY_LOADING"]


async def a_function(request):
    with only_the_event_loop():
        return authors(None, request)


async def a_task(request):
    return await asyncio.create_task(a_function(request))


class Task(View):
    async def get(self, request):
        return await a_task(request)


class InTransaction(View):
    async def get(self, request):
        account = Account.objects.create(owner="Ada")
        await asyncio.sleep(0)
        in_transaction = transaction.get_connection().in_atomic_block
        if "fail" in request.GET:
            raise OfNoAccount
        return HttpResponse(f"{account.pk} {in_transaction}")


urlpatterns = [
    path("function/", a_function),
    path("class/", Plain.as_view()),
    path("sync/", Sync.as_view()),
    path("task/", a_task),
    path("task/class/", Task.as_view()),
    path("transaction/", InTransaction.as_view()),
]


@pytest.fixture
def get():
    """Return a function that visits a page."""

    async def visit(url):
        try:
            response = await AsyncClient().get(url)
        finally:
            await async_connections["default"].close()
        assert response.status_code == 200
        return response.content.decode()

    with override_settings(
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[],
        TURBO_ORM={"LAZY_LOADING": True},
    ):
        yield lambda url: asyncio.run(visit(url))


@pytest.mark.parametrize("url", ["/function/", "/class/"])
def test_the_setting_covers_async_views(url, get):
    assert len(get(url).split(",")) == 5


@pytest.mark.parametrize("value", [False, None, 1])
def test_views_are_not_covered_without_the_setting(value, get):
    given = {} if value is None else {"LAZY_LOADING": value}
    with override_settings(TURBO_ORM=given), pytest.raises(SynchronousOnlyOperation) as caught:
        get("/function/")
    assert "`@turbo_orm.lazy_loading`" in str(caught.value)


@pytest.mark.parametrize(("url", "view"), [("/task/", "a_task"), ("/task/class/", "Task")])
def test_tasks_of_views_are_not_covered(url, view, get):
    with pytest.raises(SynchronousOnlyOperation) as caught:
        get(url)
    assert f"started by {__name__}.{view}()" in str(caught.value)


@pytest.mark.parametrize("url", ["/function/", "/class/"])
def test_async_views_that_a_sync_handler_calls_are_covered(url, get):
    assert len(Client().get(url).content.split(b",")) == 5


def test_the_setting_and_the_transactions_of_requests(scratch, get, monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    assert get("/transaction/") == "1 True"
    Account.objects.all().delete()
    with pytest.raises(OfNoAccount):
        get("/transaction/?fail")
    assert not Account.objects.exists()
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", False)
    assert get("/transaction/").endswith(" False")
    Account.objects.all().delete()
    with pytest.raises(OfNoAccount):
        get("/transaction/?fail")
    assert Account.objects.exists()
