"""JSON responses of querysets' rows: in views, in django-ninja and in Django REST framework."""

import asyncio
import gc
import json
from datetime import UTC, datetime

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DataError, connection
from django.db.models import Case, DateTimeField, F, Value, When
from django.db.models.functions import Cast
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from ninja import NinjaAPI
from rest_framework import pagination, renderers, serializers
from rest_framework.generics import ListAPIView
from rest_framework.test import APIClient

from tests.handlers.asking import Client, ask
from tests.library.models import Account, Book, Tag
from turbo_orm import async_atomic, bridge
from turbo_orm.handlers import disconnect
from turbo_orm.handlers.asgi import ASGIHandler
from turbo_orm.http import WrittenJSON, ajson_response, json_response
from turbo_orm.http.ninja import JSONRenderer as NinjaRenderer
from turbo_orm.http.rest_framework import JSONListAPIView, JSONRenderer
from turbo_orm.query_cache.cache import cache

pytestmark = [
    pytest.mark.usefixtures("library", "empty_cache"),
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning"),
]

BOOKS = Book.objects.order_by("pk").values("title", "author__name", "published")
NESTED = {"tags": Tag.objects.order_by("label").values("label")}


def dumps(objects):
    return json.dumps(list(objects), cls=DjangoJSONEncoder).encode()


# Views


async def books(request):
    return await ajson_response(BOOKS.all())


async def many_books(request):
    return await ajson_response(BOOKS.all(), chunk_size=2, headers={"X-Kind": "books"})


async def nested_books(request):
    return await ajson_response(BOOKS.all(), nested=NESTED, chunk_size=2)


def sync_books(request):
    return json_response(BOOKS.all(), nested=True, status=201)


def djangos_books(request):
    return JsonResponse(list(BOOKS.all()), safe=False)


async def in_a_transaction(request):
    async with async_atomic():
        return await many_books(request)


async def to_infinity(request):
    """Python has no such moment, which shows when the fourth row is read."""
    moment = Cast(Value("infinity"), DateTimeField())
    rows = BOOKS.annotate(x=Case(When(title="Book 3", then=moment), default=None)).values("x")
    return await ajson_response(rows, chunk_size=1)


async def open_cursors(request):
    def count():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_cursors")
            return cursor.fetchone()[0]

    return JsonResponse(await bridge.run(count), safe=False)


async def inverse(request):
    rows = Account.objects.annotate(x=Value(6) / F("balance")).values("x")
    response = await ajson_response(rows.all(), chunk_size=2)
    return response


ninja = NinjaAPI(renderer=NinjaRenderer())


@ninja.get("/books")
async def ninja_books(request):
    return await BOOKS.all().ajson()


@ninja.get("/page")
async def ninja_page(request):
    return {"at": datetime(2024, 1, 31, tzinfo=UTC), "books": WrittenJSON(await BOOKS.ajson())}


@ninja.get("/response")
async def ninja_response(request):
    return await ajson_response(BOOKS.all())


class Pages(pagination.PageNumberPagination):
    page_size = 2


class Limits(pagination.LimitOffsetPagination):
    default_limit = 2


class Cursors(pagination.CursorPagination):
    page_size = 2
    ordering = "pk"


class BookSerializer(serializers.Serializer):
    title = serializers.CharField()
    author__name = serializers.CharField()
    published = serializers.DateTimeField()


class Books:
    queryset = BOOKS.all()
    authentication_classes = ()
    permission_classes = ()


def listed(view_class, paginator):
    view = type("Listed", (Books, view_class), {"pagination_class": paginator})
    if view_class is ListAPIView:
        view.serializer_class = BookSerializer
        view.renderer_classes = [renderers.JSONRenderer]
    return view.as_view()


PAGINATORS = {"none": None, "pages": Pages, "limits": Limits}

urlpatterns = [
    path("books", books),
    path("many", many_books),
    path("nested", nested_books),
    path("sync", sync_books),
    path("django", djangos_books),
    path("inverse", inverse),
    path("transaction", in_a_transaction),
    path("cursors", open_cursors),
    path("ninja/", ninja.urls),
    *[
        path(f"{kind}/{name}", listed(view, paginator))
        for kind, view in (("ours", JSONListAPIView), ("theirs", ListAPIView))
        for name, paginator in PAGINATORS.items()
    ],
    path("ours/cursors", listed(JSONListAPIView, Cursors)),
]

SETTINGS = {
    "ROOT_URLCONF": __name__,
    "ALLOWED_HOSTS": ["testserver"],
    "MIDDLEWARE": ["django.middleware.http.ConditionalGetMiddleware"],
    "REST_FRAMEWORK": {"UNAUTHENTICATED_USER": None},
    "TURBO_ORM": {"SYNC_VIEWS": "bridge"},
}


@pytest.fixture
def answered(run):
    """Return a function that asks a view, twice and more often, without a thread."""

    def answered(*given, **options):
        async def steps():
            return [await ask(ASGIHandler(), *given, signals=False, **options) for _ in range(4)]

        return run(steps)

    with override_settings(**SETTINGS):
        yield answered


def test_rows_that_are_few_have_a_length_and_an_etag(answered):
    """All but the first time, when it is not known how many they are."""
    djangos = answered("/django")[0]
    for answer in answered("/books"):
        assert (answer.status, answer.body) == (200, djangos.body)
        assert answer.header == djangos.header
    etag = djangos.header["etag"]
    assert {answer.status for answer in answered("/books", headers={"if-none-match": etag})} == {
        304
    }


def test_more_rows_are_streamed(answered):
    for answer in answered("/many"):
        assert (answer.status, answer.body) == (200, dumps(BOOKS.all()))
        assert answer.header == {"content-type": "application/json", "x-kind": "books"}


def test_rows_in_rows_are_streamed(answered):
    for answer in answered("/nested"):
        assert (answer.status, answer.body) == (200, BOOKS.json(nested=NESTED))


def test_a_sync_view(answered):
    for answer in answered("/sync"):
        assert (answer.status, answer.body) == (201, BOOKS.json(nested=True))
        assert answer.header["content-type"] == "application/json"


def test_no_rows(run):
    async def responses(queryset, **options):
        return [await ajson_response(queryset.all(), **options) for _ in range(3)]

    for queryset in (BOOKS.filter(pk=-1), BOOKS.none()):
        for response in run(lambda: responses(queryset)):  # noqa: B023
            assert type(response) is HttpResponse
            assert response.content == b"[]"


def test_which_response_it_is(run):
    async def kinds():
        cache.clear()
        limited = [type(await ajson_response(BOOKS.all()[:3], chunk_size=3)) for _ in range(3)]
        whole = [type(await ajson_response(BOOKS.all())) for _ in range(3)]
        there = BOOKS.all()
        await there.alist()
        return limited, whole, type(await ajson_response(there, chunk_size=1))

    limited, whole, there = run(kinds)
    assert {*limited[1:], *whole, there} == {HttpResponse}
    assert limited[0] is StreamingHttpResponse


def test_what_raises_at_first_is_no_response(scratch, run):
    Account.objects.create(owner="x", balance=0)
    Account.objects.create(owner="y", balance=1)
    with override_settings(**SETTINGS):

        async def statuses():
            return [(await ask(ASGIHandler(), "/inverse", signals=False)).status for _ in range(3)]

        assert run(statuses) == [500] * 3


def test_what_raises_later_cuts_the_response_off(run):
    """What was sent is no JSON, and no server takes it for the whole."""

    async def read():
        async for part in await to_infinity(RequestFactory().get("/")):
            parts.append(part)

    for _ in range(2):
        parts = []
        with pytest.raises(DataError):
            run(read)
        body = b"".join(parts)
        assert body == b'[{"x": null}, {"x": null}, {"x": null}'
        with pytest.raises(ValueError, match="delimiter"):
            json.loads(body)


def test_a_transaction_that_ends_with_the_view(answered):
    """Its cursor would, too, so all rows are there before."""
    for answer in answered("/transaction"):
        assert (answer.status, answer.body, answer.raised) == (200, dumps(BOOKS.all()), None)
        assert "etag" in answer.header


def test_a_client_that_goes_while_rows_are_compressed(run, monkeypatch):
    """What a middleware has put around the rows refers to the response, which refers to that."""
    monkeypatch.setattr(disconnect, "DELAY", 0.01)
    middleware = ["django.middleware.gzip.GZipMiddleware"]

    def kept():
        return [each for each in gc.get_objects() if type(each) is StreamingHttpResponse]

    async def steps():
        client = Client("/many", headers={"accept-encoding": "gzip"})

        async def send(message):
            await client.send(message)
            if len(client.sent) == 3:
                client.leave()
                await asyncio.Event().wait()

        await ASGIHandler()(client.scope, client.receive, send)
        # What is collected is closed by a task.
        await asyncio.sleep(0.01)
        return (await ask(ASGIHandler(), "/cursors", signals=False)).body, kept()

    gc.collect()
    gc.disable()
    try:
        with override_settings(**{**SETTINGS, "MIDDLEWARE": middleware}):
            assert run(steps) == (b"0", [])
    finally:
        gc.enable()


# django-ninja


@pytest.mark.parametrize("path", ["/ninja/books", "/ninja/response"])
def test_an_operation_of_ninja(path, answered):
    for answer in answered(path):
        assert (answer.status, answer.body) == (200, dumps(BOOKS.all()))
        assert answer.header["content-type"].startswith("application/json")


def test_rows_in_other_data_of_ninja(answered):
    for answer in answered("/ninja/page"):
        assert json.loads(answer.body) == {
            "at": "2024-01-31T00:00:00Z",
            "books": json.loads(dumps(BOOKS.all())),
        }


# Django REST framework


@pytest.fixture
def client():
    with override_settings(**SETTINGS):
        yield APIClient()


def with_moments(answer):
    """Return an answer with moments, which the framework writes in the current time zone."""
    for row in answer["results"] if isinstance(answer, dict) else answer:
        row["published"] = row["published"] and datetime.fromisoformat(row["published"])
    return answer


@pytest.mark.parametrize("query", ["", "?page=2", "?limit=1&offset=2", "?page=99", "?offset=99"])
@pytest.mark.parametrize("paginator", PAGINATORS)
def test_a_list_of_the_framework(paginator, query, client):
    ours, theirs = [client.get(f"/{kind}/{paginator}{query}") for kind in ("ours", "theirs")]
    assert ours.status_code == theirs.status_code
    assert ours.headers["Content-Type"] == theirs.headers["Content-Type"]
    answer, expected = json.loads(ours.content.replace(b"/ours/", b"/theirs/")), theirs.json()
    if theirs.status_code == 200:
        answer, expected = with_moments(answer), with_moments(expected)
    assert answer == expected
    assert list(answer) == list(expected)


def test_a_list_of_the_framework_on_the_bridge(answered):
    for answer in answered("/ours/pages?page=2"):
        assert (answer.status, json.loads(answer.body)["results"]) == (
            200,
            json.loads(dumps(BOOKS.all()[2:4])),
        )


def test_indented(client):
    """So is what the browsable API shows."""
    indented = client.get("/ours/pages", HTTP_ACCEPT="application/json; indent=4")
    assert b'\n    "count": ' in indented.content
    assert b'\n            "title": ' in indented.content
    assert indented.json() == client.get("/ours/pages").json()


def test_a_cursor_looks_into_rows(client):
    with pytest.raises(ImproperlyConfigured, match="PageNumberPagination"):
        client.get("/ours/cursors")


def test_no_number_is_refused_by_the_framework():
    """It is strict: NaN is no JSON."""
    for written, refused in ((b'["NaN", 1.5]', False), (b"[NaN]", True), (b"[-Infinity]", True)):
        data = {"results": WrittenJSON(written)}
        if refused:
            with pytest.raises(ValueError, match="not JSON compliant"):
                JSONRenderer().render(data)
        else:
            assert JSONRenderer().render(data) == b'{"results":["NaN",1.5]}'


def test_other_data_is_encoded_as_ever():
    data = {"a": [datetime(2024, 1, 31, tzinfo=UTC), "é", None], "b": "x" * 40}
    assert JSONRenderer().render(data) == renderers.JSONRenderer().render(data)
    assert JSONRenderer().render(None) == b""
    with pytest.raises(TypeError):
        JSONRenderer().render({"a": object()})


def test_written_json_says_what_it_is():
    assert repr(WrittenJSON(b"[1]")) == "<WrittenJSON of 3 bytes>"
    assert run_sync_books() == BOOKS.json()


def run_sync_books():
    return json_response(BOOKS.all()).content
