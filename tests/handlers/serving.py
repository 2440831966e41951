"""A project as startproject makes it, with turbo_orm.asgi, for servers in processes of their own.

The databases come in the environment.
"""

import asyncio
import json
import os
import sys
from importlib.util import find_spec

from django.conf import settings

from tests.support.startproject import MIDDLEWARE

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
        DATABASES=json.loads(os.environ["TURBO_ORM_TEST_DATABASES"]),
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            "turbo_orm",
            "tests.library",
        ],
        MIDDLEWARE=MIDDLEWARE,
        ROOT_URLCONF=__name__,
        SECRET_KEY="for tests only",
        STATIC_URL="/static/",
        USE_TZ=True,
    )

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from turbo_orm.asgi import get_asgi_application

django = get_asgi_application()

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler  # noqa: E402
from django.db import connection  # noqa: E402

from tests.library.models import Account  # noqa: E402
from turbo_orm.handlers.places import on_bridge  # noqa: E402


async def count(request):
    return HttpResponse(str(await Account.objects.acount()))


@on_bridge
def count_on_bridge(request):
    return HttpResponse(str(Account.objects.count()))


def count_in_thread(request):
    return HttpResponse(str(Account.objects.count()))


async def slow(request):
    print("slow", file=sys.stderr, flush=True)
    await asyncio.sleep(0.5)
    return HttpResponse(str(await Account.objects.acount()))


@on_bridge
def slow_on_bridge(request):
    print("slow", file=sys.stderr, flush=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.5)")
    return HttpResponse(str(Account.objects.count()))


async def stream(request):
    async def parts():
        for _ in range(5):
            yield f"{await Account.objects.acount()},"
            await asyncio.sleep(0.05)

    return StreamingHttpResponse(parts())


@on_bridge
def echo(request):
    return HttpResponse(request.body)


echo.csrf_exempt = True

VIEWS = [count, count_on_bridge, count_in_thread, slow, slow_on_bridge, stream, echo]
urlpatterns = [path(view.__name__, view) for view in VIEWS]


with_static_files = ASGIStaticFilesHandler(django)

if find_spec("channels") is not None:
    from channels.routing import ProtocolTypeRouter

    by_protocol = ProtocolTypeRouter({"http": django})
