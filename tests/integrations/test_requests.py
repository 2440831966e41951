"""Async views over an async manager, asked by Django's test clients."""

import asyncio
import json

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.exceptions import SynchronousOnlyOperation
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import aget_list_or_404, aget_object_or_404
from django.template import engines
from django.test import AsyncClient, AsyncRequestFactory, Client, override_settings
from django.urls import path
from django.views import View

from tests.integrations.guard import guarded
from tests.library.models import Account, Author, Book
from tests.support.event_loop import only_the_event_loop
from turbo_orm import async_atomic

AUTHORS = Author.objects.prefetch_related("books")
TEMPLATE = (
    "{% for author in authors %}{{ author.name }}: {{ author.books.all|length }}. {% endfor %}"
)


async def listed(request):
    books = Book.objects.select_related("author").filter(author__name=request.GET["author"])
    found = await aget_list_or_404(books.order_by("pk"))
    return JsonResponse({"books": [[book.title, book.author.name] for book in found]})


async def shown(request, pk):
    return JsonResponse({"title": (await aget_object_or_404(Book, pk=pk)).title})


async def rendered(request):
    template = engines["django"].from_string(TEMPLATE)
    return HttpResponse(template.render({"authors": await AUTHORS.alist()}))


async def unfetched(request):
    template = engines["django"].from_string(TEMPLATE)
    return HttpResponse(template.render({"authors": AUTHORS.all()}))


async def streamed(request):
    async def lines():
        with only_the_event_loop():
            async for title in Book.objects.order_by("pk").values_list("title").aiterator(7):
                yield json.dumps(title) + "\n"

    return StreamingHttpResponse(lines())


@async_atomic()
async def moved(request):
    """Move what one has to another, and refuse to have less than nothing."""
    giver = await Account.objects.select_for_update().aget(owner=request.POST["from"])
    giver.balance -= 5
    await giver.asave()
    if giver.balance < 0:
        raise ValueError("not enough")
    taker, _ = await Account.objects.aget_or_create(owner=request.POST["to"])
    taker.balance += 5
    await taker.asave()
    return HttpResponse(status=204)


class Accounts(View):
    async def get(self, request):
        accounts = Account.objects.order_by("owner").values("owner", "balance")
        return JsonResponse({"accounts": [account async for account in accounts]})

    async def post(self, request):
        account = await Account.objects.acreate(owner=request.POST["owner"])
        return JsonResponse({"pk": account.pk}, status=201)


VIEWS = {
    "books/": listed,
    "books/<int:pk>/": shown,
    "authors/": rendered,
    "authors/unfetched/": unfetched,
    "titles/": streamed,
    "accounts/": Accounts.as_view(),
    "moves/": moved,
}
urlpatterns = [path(route, guarded(view)) for route, view in VIEWS.items()]

pytestmark = pytest.mark.usefixtures("library")


@pytest.fixture(autouse=True)
def _urls():
    with override_settings(
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    ):
        yield


def ask(*requests):
    """Return the responses to requests that are made one after the other."""

    async def main():
        client = AsyncClient()
        return [
            await getattr(client, method)(path, *arguments)
            for method, path, *arguments in requests
        ]

    return asyncio.run(main())


def test_views_read():
    found, none, one, missing = ask(
        ("get", "/books/", {"author": "Ada"}),
        ("get", "/books/", {"author": "nobody"}),
        ("get", "/books/6/"),
        ("get", "/books/99/"),
    )
    books = Book.objects.filter(author__name="Ada").order_by("pk")
    assert found.json() == {"books": [[book.title, "Ada"] for book in books]}
    assert one.json() == {"title": Book.objects.get(pk=6).title}
    assert [none.status_code, missing.status_code] == [404, 404]


def test_a_template_shows_what_has_been_fetched():
    (response,) = ask(("get", "/authors/"))
    expected = "".join(f"{a.name}: {a.books.count()}. " for a in Author.objects.all())
    assert response.content.decode() == expected


def test_a_template_cannot_fetch_in_the_event_loop():
    with pytest.raises(SynchronousOnlyOperation, match=r"alist\(\)"):
        ask(("get", "/authors/unfetched/"))


def test_rows_are_streamed():
    """By the handler that a server calls: only then does a response end with its content."""

    async def main():
        scope = AsyncRequestFactory()._base_scope(path="/titles/")
        server = ApplicationCommunicator(ASGIHandler(), scope)
        await server.send_input({"type": "http.request", "body": b""})
        assert (await server.receive_output())["status"] == 200
        content = b""
        while (part := await server.receive_output()).get("more_body"):
            content += part["body"]
        await server.wait()
        return content.decode().splitlines()

    titles = Book.objects.order_by("pk").values_list("title")
    assert [json.loads(line) for line in asyncio.run(main())] == [list(t) for t in titles]


def test_views_write(scratch):
    requests = [
        ("post", "/accounts/", {"owner": "Ada"}),
        ("post", "/accounts/", {"owner": "Bo"}),
        ("get", "/accounts/"),
    ]
    *created, listed = ask(*requests)
    assert [response.json() for response in created] == [{"pk": 1}, {"pk": 2}]
    assert listed.json() == {"accounts": [{"owner": o, "balance": 0} for o in ("Ada", "Bo")]}


def test_a_view_that_raises_undoes_its_transaction(scratch):
    Account.objects.create(owner="Ada", balance=7)
    (done,) = ask(("post", "/moves/", {"from": "Ada", "to": "Bo"}))
    assert done.status_code == 204
    with pytest.raises(ValueError, match="not enough"):
        ask(("post", "/moves/", {"from": "Ada", "to": "Bo"}))
    assert dict(Account.objects.values_list("owner", "balance")) == {"Ada": 2, "Bo": 5}


def test_a_view_is_called_with_a_request_that_is_made_by_hand(run):
    request = AsyncRequestFactory().get("/books/6/")
    response = run(lambda: shown(request, pk=6))
    assert json.loads(response.content) == {"title": Book.objects.get(pk=6).title}


def test_the_sync_client_gets_the_same_answers(scratch):
    client = Client()
    assert client.post("/accounts/", {"owner": "Ada"}).json() == {"pk": 1}
    assert client.get("/accounts/").json() == {"accounts": [{"owner": "Ada", "balance": 0}]}
    assert client.get("/books/6/").json() == {"title": Book.objects.get(pk=6).title}
    assert client.get("/books/99/").status_code == 404
