"""What goes to a thread, by name: nothing, with what startproject has, and else what must."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.signals import got_request_exception, request_finished, request_started
from django.test import override_settings

from tests.handlers.asking import EventLoopHandler, Hops, ask
from tests.support.event_loop import only_the_event_loop
from turbo_orm.handlers.places import in_thread, on_bridge

MODULE = "tests.handlers.middlewares"
STARTPROJECT = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SECRET = "a" * 32
CSRF = {"cookie": f"csrftoken={SECRET}", "x-csrftoken": SECRET}
FORM = {"content-type": "application/x-www-form-urlencoded", **CSRF}


@pytest.fixture(autouse=True)
def _tables(scratch):
    pass


def hops(path, *, expected_status=200, turbo=(), middleware=(), **kwargs):
    """Return the names of what was given to threads."""

    async def main():
        with Hops() as counted:
            answer = await ask(EventLoopHandler(), path, signals=False, **kwargs)
        assert answer.status == expected_status
        return counted.names

    settings = {"PATCH_DJANGO": False, **dict(turbo)}
    with override_settings(MIDDLEWARE=[*middleware], TURBO_ORM=settings):
        return asyncio.run(main())


@pytest.mark.parametrize("patched", [False, True])
@pytest.mark.parametrize(
    ("path", "status", "options"),
    [
        ("/async/asynchronous", 200, {}),
        ("/bridge/sync", 200, {}),
        ("/bridge/querying", 200, {}),
        ("/missing", 404, {}),
        ("/slashed", 301, {}),
        ("/async/rendered_async", 200, {}),
        ("/bridge/rendered", 200, {}),
        ("/bridge/streamed_list", 200, {}),
        ("/bridge/streamed_in_transaction", 200, {}),
        ("/async/streamed_async", 200, {}),
        ("/raise/async/500", 500, {}),
        ("/raise/bridge/403", 403, {}),
        ("/raise/async/suspicious", 400, {}),
        ("/bridge/upload", 403, {"method": "POST", "body": b"a=1"}),
        ("/bridge/upload", 200, {"method": "POST", "body": b"a=1", "headers": FORM}),
        ("/bridge/echo", 200, {"method": "PUT", "body": b"a=1" * 100, "headers": CSRF}),
    ],
)
def test_what_needs_no_thread(path, status, options, patched):
    settings = {"PATCH_DJANGO": patched}
    with only_the_event_loop():
        found = hops(
            path, expected_status=status, turbo=settings, middleware=STARTPROJECT, **options
        )
    assert found == []


@pytest.mark.parametrize(
    ("path", "rounds"), [("/async/asynchronous", 50), ("/bridge/querying", 10), ("/missing", 10)]
)
def test_a_thousand_requests_start_no_thread(path, rounds, monkeypatch):
    started = []
    start = threading.Thread.start
    monkeypatch.setattr(
        threading.Thread, "start", lambda self: (started.append(self.name), start(self))
    )

    async def main():
        application = EventLoopHandler()
        for _ in range(rounds):
            await asyncio.gather(
                *[ask(application, path, signals=False, is_local=None) for _ in range(20)]
            )

    with override_settings(MIDDLEWARE=STARTPROJECT):
        asyncio.run(main())
    assert started == []


@pytest.mark.parametrize(
    ("path", "names"),
    [
        # A sync view, and then its thread's connections are closed.
        ("/thread/sync", ["sync", "HttpResponse.close"]),
        ("/thread/rendered", ["rendered", "render", "close"]),
        ("/bridge/closing", ["close"]),
        ("/raise/thread/500", ["raising", "close"]),
    ],
)
def test_what_a_view_gives_to_a_thread(path, names):
    status = 500 if "raise" in path else 200
    found = hops(path, expected_status=status, middleware=STARTPROJECT)
    assert [name.rpartition(".")[2] for name in found] == [
        name.rpartition(".")[2] for name in names
    ]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_a_file_is_read_and_closed_in_a_thread():
    assert hops("/bridge/file")[-1].endswith("close")


@pytest.mark.parametrize(
    ("middleware", "names"),
    [
        ("Mixin", {"process_request", "process_view", "process_response"}),
        ("SyncHooks", {"process_view", "inner"}),
        ("function", {"middleware"}),
    ],
)
@pytest.mark.parametrize(
    "listed",
    ["", "tests.handlers.middlewares", "tests.handlers", "tests", "by name", "tests.handlers.mid"],
)
def test_middleware_that_is_listed(listed, middleware, names):
    entry = f"{MODULE}.{middleware}" if listed == "by name" else listed
    found = hops(
        "/async/asynchronous",
        turbo={"ON_EVENT_LOOP": [entry]},
        middleware=[f"{MODULE}.{middleware}"],
    )
    if listed in ("", "tests.handlers.mid"):
        assert {name.rpartition(".")[2] for name in found} >= names
    else:
        assert found == []


def test_middleware_that_is_listed_by_another_path():
    path = "tests.handlers.reexports.middleware"
    for listed in (path, f"{MODULE}.function"):
        found = hops("/async/asynchronous", turbo={"ON_EVENT_LOOP": [listed]}, middleware=[path])
        assert found == []
    assert hops("/async/asynchronous", turbo={"ON_EVENT_LOOP": ["other"]}, middleware=[path])


def foreign(sender, **kwargs):
    """Receive a signal, and wait for anything."""


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize(
    ("signal", "path", "name"),
    [
        (request_started, "/async/asynchronous", "sync_send"),
        (request_finished, "/async/asynchronous", "close"),
        (got_request_exception, "/raise/async/500", "response_for_exception"),
    ],
)
def test_a_receiver(signal, path, name, is_listed):
    turbo = {"ON_EVENT_LOOP": [f"{__name__}.foreign"]} if is_listed else {}
    status = 500 if "raise" in path else 200
    signal.connect(foreign)
    try:
        found = hops(path, expected_status=status, turbo=turbo)
    finally:
        signal.disconnect(foreign)
    assert (name in {each.rpartition(".")[2] for each in found}) is not is_listed
    assert hops(path, expected_status=status) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/x-www-form-urlencoded", "content-length": ""},
    ],
)
def test_a_form_that_is_long_is_parsed_in_a_thread(headers):
    body = b"a=" + b"x" * 100_000
    found = hops(
        "/bridge/upload",
        middleware=STARTPROJECT,
        method="POST",
        body=body,
        headers={**CSRF, **headers},
    )
    assert "CsrfViewMiddleware.process_view" in found


@pytest.mark.parametrize(("place", "goes"), [(on_bridge, False), (in_thread, True)])
def test_the_view_for_csrf_failures(place, goes, monkeypatch):
    from tests.handlers import error_views, urls

    def failure(request, reason=""):
        return error_views.error_403(request, reason)

    monkeypatch.setattr(urls, "csrf_failure", place(failure), raising=False)
    with override_settings(CSRF_FAILURE_VIEW="tests.handlers.urls.csrf_failure"):
        found = hops(
            "/bridge/upload",
            expected_status=403,
            middleware=STARTPROJECT,
            method="POST",
            body=b"a=1",
        )
    assert ("CsrfViewMiddleware.process_view" in found) is goes


def test_a_template_for_csrf_failures_queries():
    def accounts(request):
        from tests.library.models import Account

        return {"counted": Account.objects.count()}

    from tests.handlers import urls

    urls.accounts = accounts
    loaders = [("django.template.loaders.locmem.Loader", {"403_csrf.html": "{{ counted }}!"})]
    options = {"context_processors": ["tests.handlers.urls.accounts"], "loaders": loaders}
    backend = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": options,
    }

    async def main():
        return await ask(EventLoopHandler(), "/bridge/upload", method="POST", signals=False)

    with override_settings(TEMPLATES=[backend], MIDDLEWARE=STARTPROJECT):
        assert asyncio.run(main()).text in ("0!", "!")
    del urls.accounts


def test_the_pool_of_threads_is_not_used(monkeypatch):
    def submit(*args, **kwargs):
        raise AssertionError("a thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    assert hops("/bridge/querying", middleware=STARTPROJECT) == []
