"""Views of every kind: async, sync for a thread, and sync for the bridge."""

import threading
from pathlib import Path

from asgiref.sync import async_to_sync
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.files.uploadhandler import StopUpload
from django.db import connection, transaction
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseNotAllowed,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import include, path, reverse
from django.views import View
from django.views.decorators.cache import cache_page
from django.views.decorators.http import condition

from tests.library.models import Account
from turbo_orm.handlers.places import in_thread, on_bridge


class Odd(Exception):
    """An exception that nothing knows."""


ERRORS = {
    "404": lambda: Http404("none"),
    "403": lambda: PermissionDenied("not you"),
    "400": lambda: BadRequest("bad"),
    "suspicious": lambda: SuspiciousOperation("odd"),
    "500": lambda: Odd("of the view"),
    "exit": lambda: StopUpload(connection_reset=True),
}


def sync(request):
    return HttpResponse(f"{request.method} {request.get_full_path()}")


async def asynchronous(request):
    return HttpResponse(f"{request.method} {request.get_full_path()}")


def raising(request, kind):
    raise ERRORS[kind]()


async def raising_async(request, kind):
    raise ERRORS[kind]()


def querying(request):
    Account.objects.create(owner="by the view")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM library_account")
        (counted,) = cursor.fetchone()
    return JsonResponse({"count": Account.objects.count(), "counted": counted})


def none(request):
    return None


async def none_async(request):
    return None


# Python warns of one that is not awaited when it collects it.
unawaited = []


def coroutine(request):
    unawaited.append(asynchronous(request))
    return unawaited[-1]


TEMPLATE = "{% for account in accounts %}{{ account.owner }},{% endfor %}{{ fail.now }}"


class Failing:
    @property
    def now(self):
        raise Odd("of the template")


def template(request, **context):
    found = engines["django"].from_string(TEMPLATE)
    return TemplateResponse(request, found, {"accounts": Account.objects.all(), **context})


def rendered(request):
    Account.objects.create(owner="Ada")
    return template(request)


async def rendered_async(request):
    await Account.objects.acreate(owner="Ada")
    return template(request)


def rendered_badly(request):
    return template(request, fail=Failing())


async def rendered_badly_async(request):
    return template(request, fail=Failing())


def _parts():
    for owner in ("Ada", "Bo", "Cy"):
        Account.objects.create(owner=owner)
        yield f"{owner} of {Account.objects.count()}\n"


def streamed(request):
    response = StreamingHttpResponse(_parts())
    response["X-Streamed"] = "yes"
    return response


def streamed_list(request):
    return StreamingHttpResponse(["a", b"b", "c"])


async def streamed_async(request):
    async def parts():
        for owner in ("Ada", "Bo"):
            await Account.objects.acreate(owner=owner)
            yield f"{owner} of {await Account.objects.acount()}\n"

    return StreamingHttpResponse(parts())


def streamed_rows(request):
    Account.objects.bulk_create([Account(owner=f"{n}") for n in range(7)])
    accounts = Account.objects.order_by("pk")
    return StreamingHttpResponse(f"{a.owner}," for a in accounts.iterator(chunk_size=2))


def streamed_in_transaction(request):
    def parts():
        with transaction.atomic():
            for account in ("Ada", "Bo"):
                Account.objects.create(owner=account)
                yield account

    return StreamingHttpResponse(parts())


def streamed_badly(request):
    def parts():
        yield "first"
        raise Odd("of the stream")

    return StreamingHttpResponse(parts())


async def streamed_badly_async(request):
    async def parts():
        yield "first"
        raise Odd("of the stream")

    return StreamingHttpResponse(parts())


def file(request):
    return FileResponse(Path(__file__).open("rb"), filename="urls.py")


def echo(request):
    return HttpResponse(request.body, content_type="application/octet-stream")


def upload(request):
    files = {
        name: [type(f).__name__, f.size, f.read()[:20].decode("latin1")]
        for name, f in request.FILES.items()
    }
    return JsonResponse({"post": request.POST.dict(), "files": files})


def read(request):
    return HttpResponse(f"{len(request.read(10))} {len(request.read())}")


def names(request):
    return JsonResponse(
        {
            "reversed": reverse("names"),
            "path": request.path,
            "info": request.path_info,
            "script": request.META["SCRIPT_NAME"],
            "uri": request.build_absolute_uri(),
        }
    )


def written(request):
    Account.objects.create(owner="by the view")
    if request.GET.get("fail"):
        raise Odd("of the view")
    return HttpResponse("written")


async def written_async(request):
    await Account.objects.acreate(owner="by the view")
    if request.GET.get("fail"):
        raise Odd("of the view")
    return HttpResponse("written")


@transaction.non_atomic_requests
def not_atomic(request):
    Account.objects.create(owner="by the view")
    raise Odd("of the view")


def on_commit(request):
    with transaction.atomic():
        Account.objects.create(owner="in the block")
        transaction.on_commit(lambda: Account.objects.create(owner="on commit"))
        inside = Account.objects.count()
    return HttpResponse(f"{inside} {Account.objects.count()}")


def calling_async(request):
    async def create(owner):
        account = await Account.objects.acreate(owner=owner)
        return account.owner

    owners = [async_to_sync(create)("one"), async_to_sync(create)("two")]
    Account.objects.create(owner="three")
    return HttpResponse(f"{owners} {Account.objects.count()}")


def calling_async_badly(request):
    async def fail():
        raise Odd("of the coroutine")

    try:
        async_to_sync(fail)()
    except Odd as exc:
        return HttpResponse(f"{exc} {Account.objects.count()}")


@condition(etag_func=lambda request: '"etag"')
def conditional(request):
    return HttpResponse("found")


def cached(request):
    return HttpResponse(f"{Account.objects.count()}")


@cache_page(60)
def cached_page(request):
    return HttpResponse("cached")


class ClassBased(View):
    def get(self, request):
        Account.objects.create(owner="by the class")
        return HttpResponse("got")


class AsyncClassBased(View):
    async def get(self, request):
        await Account.objects.acreate(owner="by the class")
        return HttpResponse("got")


def closing(request):
    response = HttpResponse("closed later")
    response._resource_closers.append(lambda: Account.objects.create(owner="by the closer"))
    return response


def closing_badly(request):
    class Response(HttpResponse):
        def close(self):
            super().close()
            raise Odd("of close()")

    return Response("closed badly")


def closing_with_a_raise(request):
    def fail():
        raise Odd("of a closer")

    response = HttpResponse("closed badly")
    response._resource_closers.append(fail)
    return response


def not_allowed(request):
    return HttpResponseNotAllowed(["POST"])


def cookies(request):
    response = HttpResponse(str(sorted(request.COOKIES.items())))
    response.set_cookie("one", "1")
    response.set_cookie("two", "ü")
    return response


def thread_name(request):
    return HttpResponse(str(threading.current_thread() is threading.main_thread()))


def teapot(request):
    return HttpResponse("teapot", status=418)


def server_error(request):
    return HttpResponse("out of order", status=503)


SYNC = [
    sync,
    querying,
    none,
    rendered,
    rendered_badly,
    streamed_list,
    streamed_rows,
    streamed,
    streamed_in_transaction,
    file,
    echo,
    upload,
    read,
    written,
    not_atomic,
    on_commit,
    calling_async,
    calling_async_badly,
    conditional,
    cached,
    cached_page,
    closing,
    closing_badly,
    closing_with_a_raise,
    not_allowed,
    cookies,
    teapot,
    server_error,
]
# These are not the same under both.
OTHER = [coroutine, thread_name, streamed_badly]
ASYNC = [
    asynchronous,
    none_async,
    rendered_async,
    rendered_badly_async,
    streamed_async,
    streamed_badly_async,
    written_async,
]


def _copy(view):
    """Return another function that does the same, for another place."""

    def copy(*args, **kwargs):
        return view(*args, **kwargs)

    for name in ("__name__", "__qualname__", "__module__", "_non_atomic_requests"):
        if hasattr(view, name):
            setattr(copy, name, getattr(view, name))
    return copy


urlpatterns = [
    path("names/", names, name="names"),
    path("raise/thread/<str:kind>", raising),
    path("raise/bridge/<str:kind>", on_bridge(_copy(raising))),
    path("raise/async/<str:kind>", raising_async),
    path("class/", ClassBased.as_view()),
    path("class/bridge/", on_bridge(ClassBased.as_view())),
    path("class/async/", AsyncClassBased.as_view()),
    *[path(f"thread/{view.__name__}", in_thread(_copy(view))) for view in SYNC],
    *[path(f"bridge/{view.__name__}", on_bridge(_copy(view))) for view in SYNC],
    *[path(f"set/{view.__name__}", view) for view in SYNC],
    *[path(f"async/{view.__name__}", view) for view in ASYNC],
    *[path(f"thread/{view.__name__}", _copy(view)) for view in OTHER],
    *[path(f"bridge/{view.__name__}", on_bridge(_copy(view))) for view in OTHER],
    path("slashed/", sync),
    path("nested/", include([path("names/", names)])),
]
