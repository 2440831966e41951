"""The thread hops of requests are all found, with their causes, and nothing stays replaced."""

import asyncio
import threading

import pytest
from django.core.handlers.asgi import ASGIHandler

from tests.support.project import APPS, SET_UP, databases, run_in_project
from tests.support.startproject import MIDDLEWARE
from turbo_orm.explain.causes import HANDLER
from turbo_orm.explain.hops import recording
from turbo_orm.explain.places import Place, dotted
from turbo_orm.explain.requests import is_turbo_orms

PROJECT = """
    import logging, warnings
    from asgiref.sync import async_to_sync, sync_to_async
    from django.core import signals
    from django.core.asgi import get_asgi_application
    from django.core.cache import cache
    from django.dispatch import Signal
    from django.http import FileResponse, HttpResponse, StreamingHttpResponse
    from django.template import engines
    from django.template.response import TemplateResponse
    from django.urls import path
    from django.utils.decorators import async_only_middleware, sync_only_middleware
    from django.views import View
    from turbo_orm.explain.hops import recording
    from turbo_orm.explain.requests import Request, perform

    logging.disable()


    async def awaiting(request):
        await asyncio.sleep(0)
        return HttpResponse("awaited")


    def sync(request):
        return HttpResponse("sync")


    class SyncView(View):
        def get(self, request):
            return HttpResponse("sync")


    def compute(number):
        return number


    async def own(request):
        await asyncio.to_thread(compute, 1)
        await sync_to_async(compute)(2)
        await sync_to_async(compute, thread_sensitive=False)(3)
        await asyncio.get_running_loop().run_in_executor(None, compute, 4)
        await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
        return HttpResponse()


    async def in_tasks(request):
        await asyncio.gather(asyncio.to_thread(compute, 1), sync_to_async(compute)(2))
        return HttpResponse()


    def in_a_thread(request):
        async def nested():
            await asyncio.to_thread(compute, 1)

        async_to_sync(nested)()
        return HttpResponse()


    async def cached(request):
        await cache.aget("key")
        return HttpResponse()


    def parts():
        yield b"one"
        yield b"two"


    async def streaming(request):
        return StreamingHttpResponse(parts())


    async def streaming_async(request):
        async def parts():
            yield b"one"

        return StreamingHttpResponse(parts())


    async def rendered(request):
        return TemplateResponse(request, engines["django"].from_string("text"))


    async def raising(request):
        raise ZeroDivisionError("a message")


    ping = Signal()


    def receive(**named):
        pass


    async def areceive(**named):
        pass


    ping.connect(receive)
    ping.connect(areceive)


    async def sending(request):
        await ping.asend(None)
        return HttpResponse()


    @async_only_middleware
    def async_middleware(get_response):
        async def middleware(request):
            return await get_response(request)

        return middleware


    @sync_only_middleware
    def sync_middleware(get_response):
        def middleware(request):
            return get_response(request)

        return middleware


    urlpatterns = [
        path("", awaiting),
        path("sync/", sync),
        path("class/", SyncView.as_view()),
        path("own/", own),
        path("tasks/", in_tasks),
        path("thread/", in_a_thread),
        path("cached/", cached),
        path("streaming/", streaming),
        path("streaming-async/", streaming_async),
        path("rendered/", rendered),
        path("raising/", raising),
        path("sending/", sending),
    ]


    def ask(path="/", warm=0, **options):
        result = asyncio.run(perform(get_asgi_application(), Request(path, **options), warm))
        return {**vars(result), **result.recording.as_dict(), "recording": None,
                "exception": repr(result.exception)}
"""

SETTINGS = {
    "ALLOWED_HOSTS": ["testserver"],
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    "ROOT_URLCONF": "__main__",
    "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    # As Django is by itself.
    "TURBO_ORM": {"PATCH_DJANGO": False},
}

# What any request has, without middleware.
ALWAYS = ["signal", "close"]


def in_project(code, **changes):
    return run_in_project(PROJECT + code, **{**SETTINGS, **changes})


def ask(path="/", options="", before="", **changes):
    """Return what a request got, and its hops without those of any request."""
    found = in_project(f"{before}\n    answer(ask({path!r}, {options}))\n", **changes)
    kinds = [hop["kind"] for hop in found["hops"]]
    assert [kinds[0], kinds[-1]] == ALWAYS
    return {**found, "hops": found["hops"][1:-1]}


def told(hops, key="cause"):
    return [hop[key] for hop in hops]


def line_of(text):
    """Return the line of the project's code that a text first is in."""
    before = "\n".join([SET_UP, "", "django.setup()", ""])
    return before.count("\n") + PROJECT[: PROJECT.index(text)].count("\n") + 1


def test_an_async_view_behind_djangos_default_middleware():
    found = in_project(
        "\n    answer(ask(warm=1))\n",
        INSTALLED_APPS=[
            *APPS,
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
        ],
        MIDDLEWARE=MIDDLEWARE,
    )
    assert found["status"] == 200
    assert found["size"] == len("awaited")
    assert found["total"] == len(found["hops"]) == 15
    # That of its hops, and one that waits for that to end.
    assert found["threads_started"] in {1, 2}
    assert found["tasks_created"] >= 1
    kinds = told(found["hops"], "kind")
    assert kinds == ["signal", *["middleware"] * 13, "close"]
    assert set(told(found["hops"], "cure")) == {HANDLER}
    assert set(told(found["hops"], "thread")) == {"thread-sensitive"}
    assert found["hops"][1]["cause"] == (
        f"process_request() of the middleware {MIDDLEWARE[0]} is sync"
    )
    assert found["hops"][1]["file"].endswith("django/middleware/security.py")
    assert "django.core.signals.request_started" in found["hops"][0]["cause"]


def test_an_async_view_alone():
    found = ask()
    assert found["hops"] == []
    assert found["total"] == 2


def test_a_sync_view():
    (hop,) = ask("/sync/")["hops"]
    assert hop["kind"] == "view"
    assert hop["cause"] == "the view __main__.sync is sync"
    assert "@turbo_orm.on_bridge" in hop["cure"]
    assert (hop["file"], hop["line"]) == ("<string>", line_of("def sync("))


def test_a_sync_view_of_a_class():
    (hop,) = ask("/class/")["hops"]
    assert hop["cause"] == "the view __main__.SyncView is sync"


def test_a_view_in_a_transaction_of_djangos():
    (hop,) = ask("/sync/", DATABASES=databases(ATOMIC_REQUESTS=True))["hops"]
    assert hop["cause"] == "the view __main__.sync is sync"


def test_what_is_not_found():
    page, log = ask("/missing/")["hops"]
    assert (page["kind"], log["kind"]) == ("error page", "logging")
    assert page["cause"] == "the error page of Resolver404"
    assert page["thread"] == log["thread"] == "default executor"


def test_a_view_that_raises():
    found = ask("/raising/", "warm=1")
    assert found["status"] == 500
    assert found["exception"] == "ZeroDivisionError('a message')"
    process, page, _log = found["hops"]
    assert told(found["hops"], "kind") == ["exception", "error page", "logging"]
    assert "process_exception() of no middleware" in process["cause"]
    assert page["cause"] == "the error page of ZeroDivisionError: a message"
    assert process["line"] == page["line"] == line_of("raise ZeroDivisionError")


def test_what_the_application_raises():
    code = """
    async def failing(scope, receive, send):
        await sync_to_async(compute)(1)
        raise LookupError("no handler")

    result = asyncio.run(perform(failing, Request("/"), warm=0))
    answer([repr(result.exception), result.status, [hop.kind for hop in result.recording.hops]])
    """
    assert in_project(code) == ["LookupError('no handler')", None, ["call"]]


def test_the_projects_own_calls():
    hops = ask("/own/")["hops"]
    assert told(hops, "kind") == [*["call"] * 4, "name resolution"]
    assert told(hops[:4]) == ["the project's own call of __main__.compute()"] * 4
    assert told(hops, "thread") == [
        "default executor",
        "thread-sensitive",
        *["default executor"] * 3,
    ]
    first = line_of("await asyncio.to_thread(compute, 1)")
    assert told(hops, "line") == [*range(first, first + 5)]
    assert "'127.0.0.1' is looked up" in hops[-1]["cause"]


def test_calls_in_tasks_are_on_behalf_of_what_has_created_them():
    found = ask("/tasks/")
    assert told(found["hops"], "kind") == ["call", "call"]
    assert set(told(found["hops"], "line")) == {line_of("await asyncio.gather(")}
    assert found["tasks_created"] >= 3


def test_calls_of_async_code_that_a_thread_calls():
    view, call = ask("/thread/")["hops"]
    assert view["kind"] == "view"
    assert call["cause"] == "the project's own call of __main__.compute()"


def test_calls_of_code_on_the_bridge():
    before = """
    from turbo_orm import bridge

    def work():
        bridge.await_(asyncio.to_thread(compute, 5))

    async def bridged(request):
        await bridge.run(work)
        return HttpResponse()

    urlpatterns.append(path("bridged/", bridged))
    """
    (hop,) = ask("/bridged/", before=before)["hops"]
    assert hop["cause"] == "the project's own call of __main__.compute()"


def test_what_process_exception_is_of():
    before = """
    from django.utils.deprecation import MiddlewareMixin

    class Handling(MiddlewareMixin):
        def process_exception(self, request, exception):
            return HttpResponse("handled")
    """
    (hop,) = ask("/raising/", before=before, MIDDLEWARE=["__main__.Handling"])["hops"]
    assert hop["cause"] == (
        "ZeroDivisionError: a message was raised: process_exception() of __main__.Handling"
    )


def test_a_cache():
    (hop,) = ask("/cached/")["hops"]
    assert hop["kind"] == "cache"
    assert hop["function"] == "django.core.cache.backends.locmem.LocMemCache.get"
    assert hop["line"] == line_of('await cache.aget("key")')
    assert "only looks into the process's memory" in hop["cure"]


def test_sessions_passwords_and_authentication():
    before = """
    from django.contrib.auth.backends import BaseBackend
    from django.contrib.auth.hashers import acheck_password, make_password
    from django.contrib.sessions.backends.base import SessionBase

    class SessionStore(SessionBase):
        def exists(self, session_key):
            return False

    class Backend(BaseBackend):
        def get_user(self, key):
            return None

    async def entering(request):
        await SessionStore().aexists("a" * 32)
        await acheck_password("a", make_password("a"))
        await Backend().aget_user(1)
        return HttpResponse()

    urlpatterns.append(path("entering/", entering))
    """
    apps = [*APPS, "django.contrib.auth", "django.contrib.sessions"]
    hasher = "django.contrib.auth.hashers.MD5PasswordHasher"
    hops = ask("/entering/", before=before, INSTALLED_APPS=apps, PASSWORD_HASHERS=[hasher])["hops"]
    cures = {hop["kind"]: hop["cure"] for hop in hops}
    assert "SESSION_ENGINE" in cures["session"]
    assert cures["authentication"] == "give it an async aget_user()"
    # Before Django 6.0, it computes in the event loop.
    assert cures.get("password", "") == ""
    assert {*cures} <= {"session", "authentication", "password"}
    assert len({hop["line"] for hop in hops}) == len(hops)


def test_a_stream_of_a_sync_iterator():
    before = 'warnings.simplefilter("ignore")'
    (hop,) = ask("/streaming/", before=f"\n    {before}")["hops"]
    assert hop["kind"] == "streaming"
    assert hop["line"] == line_of("def parts():")
    assert ask("/streaming-async/")["hops"] == []


def test_a_template_response():
    (hop,) = ask("/rendered/")["hops"]
    assert hop["kind"] == "template"
    assert hop["cause"].startswith("the TemplateResponse is rendered")
    assert hop["line"] == line_of("async def rendered(")


def test_receivers_of_a_signal():
    (hop,) = ask("/sending/")["hops"]
    assert hop["cause"] == "receivers of __main__.ping: __main__.receive"
    assert hop["line"] == line_of("def receive(")
    assert '"__main__.receive" in TURBO_ORM["ON_EVENT_LOOP"]' in hop["cure"]


def test_a_receiver_of_the_end_of_requests():
    code = """
    signals.request_finished.connect(receive)
    answer(ask())
    """
    *_, close = in_project(code)["hops"]
    assert close["cause"] == "response.close() sends request_finished to __main__.receive"
    assert close["line"] == line_of("def receive(")


def test_a_file_that_is_closed():
    code = """
    async def sent(request):
        return FileResponse(open(sys.executable, "rb"), content_type="text/plain")

    urlpatterns.append(path("file/", sent))
    warnings.simplefilter("ignore")
    answer(ask("/file/"))
    """
    *_, close = in_project(code)["hops"]
    assert "closes _io.BufferedReader" in close["cause"]


@pytest.mark.skipif(
    "sync_to_async" not in ASGIHandler.read_body.__code__.co_names,
    reason="this Django writes it in the event loop",
)
def test_a_body_that_is_too_large_for_memory():
    options = 'method="POST", body=b"x" * 300_000'
    hops = in_project(f"\n    answer(ask('/', {options}))\n", FILE_UPLOAD_MAX_MEMORY_SIZE=100_000)[
        "hops"
    ]
    # Pieces of 65,536 bytes: the second has the file made, and is written to memory before.
    written = [hop for hop in hops if hop["kind"] == "upload"]
    assert len(written) == 3
    assert len({*map(str, written)}) == 1
    assert "FILE_UPLOAD_MAX_MEMORY_SIZE" in written[0]["cure"]


def test_a_middleware_that_is_sync_as_a_whole():
    sync, *rest = ask(MIDDLEWARE=["__main__.sync_middleware"])["hops"]
    assert sync["kind"] == "middleware"
    assert "the middleware __main__.sync_middleware is sync" in sync["cause"]
    assert rest == []
    assert ask(MIDDLEWARE=["__main__.async_middleware"])["hops"] == []


def test_what_a_package_calls():
    before = """
    import types

    package = types.ModuleType("apackage")
    source = "import asyncio\\nasync def work():\\n    await asyncio.to_thread(len, 'x')\\n"
    exec(compile(source, "/lib/site-packages/apackage.py", "exec"), vars(package))

    async def working(request):
        await package.work()
        return HttpResponse()

    urlpatterns.append(path("working/", working))
    """
    (hop,) = ask("/working/", before=before)["hops"]
    assert hop["cause"] == "apackage calls len()"
    assert hop["file"] == "<string>"


def test_the_methods_of_a_model_that_goes_to_threads():
    before = """
    from tests.library.models import Mentoring

    async def counting(request):
        return HttpResponse(str(await Mentoring.objects.acount()))

    urlpatterns.append(path("counting/", counting))
    """
    (hop,) = ask("/counting/", before=before)["hops"]
    assert hop["kind"] == "database"
    assert "count" in hop["cause"]
    assert ask("/counting/", before=before, TURBO_ORM={})["hops"] == []


def test_uvloops_are_recorded_and_put_back():
    pytest.importorskip("uvloop")
    code = """
    import uvloop
    run = asyncio.Runner(loop_factory=uvloop.new_event_loop).run
    asyncio.run = run
    found = ask("/own/")
    answer([[hop["kind"] for hop in found["hops"]], found["tasks_created"],
            "run_in_executor" in vars(uvloop.Loop), "create_task" in vars(uvloop.Loop)])
    """
    kinds, tasks, *replaced = in_project(code)
    # Its getaddrinfo() is not asyncio's.
    assert kinds == ["signal", *["call"] * 4, "close"]
    assert tasks >= 1
    assert replaced == [False, False]


# Recordings


async def hop(number):
    await asyncio.to_thread(abs, number)


def test_a_recording_has_what_its_context_does():
    async def record(times):
        with recording() as found:
            for number in range(times):
                await hop(number)
        await hop(0)
        return len(found.hops)

    async def main():
        await hop(0)
        return await asyncio.gather(record(1), record(2), hop(0), record(0))

    assert asyncio.run(main()) == [1, 2, None, 0]


def test_an_inner_recording_has_its_own():
    async def main():
        with recording() as outer:
            await hop(1)
            with recording() as inner:
                await hop(2)
            await hop(3)
        return len(outer.hops), len(inner.hops)

    assert asyncio.run(main()) == (2, 1)


def test_a_task_that_outlives_its_recording_is_not_in_another():
    async def late(go):
        await go.wait()
        await hop(1)

    async def main():
        go = asyncio.Event()
        with recording() as found:
            task = asyncio.create_task(late(go))
        with recording() as other:
            go.set()
            await task
        return found.tasks_created, found.hops, other.hops

    assert asyncio.run(main()) == (1, [], [])


def test_methods_are_put_back_when_the_last_recording_ends():
    def methods():
        loop = asyncio.BaseEventLoop
        return loop.run_in_executor, loop.create_task, threading.Thread.start

    async def main():
        with recording():
            with recording():
                within = methods()
            assert methods() == within
        return within

    before = methods()
    within = asyncio.run(main())
    assert methods() == before
    assert all(each is not other for each, other in zip(before, within, strict=True))


def test_a_wrapper_of_another_package_is_left_there_and_records_nothing_twice():
    def wrapped(loop, *args):
        return ours(loop, *args)

    async def main():
        nonlocal ours
        with recording() as found:
            ours = asyncio.BaseEventLoop.run_in_executor
            asyncio.BaseEventLoop.run_in_executor = wrapped
            await hop(1)
        await hop(2)
        assert asyncio.BaseEventLoop.run_in_executor is wrapped
        with recording() as later:
            await hop(3)
        return len(found.hops), len(later.hops)

    ours, original = None, asyncio.BaseEventLoop.run_in_executor
    try:
        assert asyncio.run(main()) == (1, 1)
        assert asyncio.BaseEventLoop.run_in_executor is wrapped
    finally:
        asyncio.BaseEventLoop.run_in_executor = original


def test_what_raises_is_put_back_after():
    async def main():
        with recording() as found:
            await asyncio.to_thread(int, "x")
        return found

    before = asyncio.BaseEventLoop.run_in_executor
    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(main())
    assert asyncio.BaseEventLoop.run_in_executor is before


# Names


def test_an_application_of_turbo_orm_is_found_behind_others():
    class Ours:
        pass

    class Wrapping:
        def __init__(self, app):
            self.app = app

    class Routing:
        def __init__(self, application):
            self.application_mapping = {"http": application}

    assert not is_turbo_orms(Ours())
    Ours.__module__ = "turbo_orm.asgi"
    assert is_turbo_orms(Ours())
    assert is_turbo_orms(Routing(Wrapping(Ours())))
    assert not is_turbo_orms(Routing(Wrapping(print)))
    endless = Wrapping(None)
    endless.app = endless
    assert not is_turbo_orms(endless)


def test_whose_code_it_is():
    assert Place(asyncio.__file__, 1, "asyncio").owner == "machinery"
    assert Place(pytest.__file__, 1, "pytest").owner == "package"
    assert Place(__file__, 1, __name__).owner == "project"
    assert Place("anywhere.py", 1, "django.http").owner == "django"


def test_dotted_names():
    assert dotted(len) == "len"
    assert dotted(dotted) == "turbo_orm.explain.places.dotted"
    assert dotted(databases) == "tests.support.project.databases"
    assert dotted(Place("", 0)) == "turbo_orm.explain.places.Place"
    assert dotted([].append) == "list.append"
