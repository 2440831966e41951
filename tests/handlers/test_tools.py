"""Tools that look on at requests: what they patch goes on working, and starts no thread."""

import pytest

from tests.support.project import run_in_project

SENTRY = """
    import sentry_sdk
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.transport import Transport

    class NoTransport(Transport):
        def capture_envelope(self, envelope):
            pass

    seen = []
    errors = []

    sentry_sdk.init(
        dsn="http://key@localhost:1/1",
        before_send=lambda event, hint: errors.append(event["exception"]["values"][-1]["type"]),
        before_send_transaction=lambda event, hint: seen.append(
            [event["transaction"], sorted({span["op"] for span in event["spans"]})]
        ),
        traces_sample_rate=1.0,
        transport=NoTransport,
        integrations=[DjangoIntegration(middleware_spans=True, signals_spans=True)],
        auto_enabling_integrations=False,
    )
"""
OPENTELEMETRY = """
    from opentelemetry import trace
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider())
    DjangoInstrumentor().instrument()
    seen, errors = [], []
"""
CODE = """
    from django.http import HttpResponse
    from django.urls import path
    from tests.handlers.asking import HANDLERS, Hops, ask
    from tests.library.models import Account
    from turbo_orm.asgi import get_asgi_application
    from turbo_orm.handlers.places import on_bridge

    async def asynchronous(request):
        return HttpResponse(str(await Account.objects.acount()))

    @on_bridge
    def bridge(request):
        return HttpResponse(str(Account.objects.count()))

    def thread(request):
        return HttpResponse(str(Account.objects.count()))

    async def failing(request):
        raise KeyError("of the view")

    VIEWS = [asynchronous, bridge, thread, failing]
    urlpatterns = [path(view.__name__, view) for view in VIEWS]

    async def main():
        hops = {}
        for view in VIEWS:
            answers = []
            for handler in (HANDLERS["django"](), get_asgi_application()):
                with Hops() as counted:
                    answers.append(await ask(handler, f"/{view.__name__}", signals=False))
            hops[view.__name__] = counted.names
            assert answers[0].compared() == answers[1].compared(), answers
        return hops

    hops = asyncio.run(main())
    answer([hops, list(seen), errors])
"""
STARTPROJECT = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


def asked(tool, is_first, listed=()):
    return run_in_project(
        CODE if is_first else f"{tool}\n{CODE}",
        before=tool if is_first else "",
        ALLOWED_HOSTS=["testserver"],
        MIDDLEWARE=STARTPROJECT,
        ROOT_URLCONF="__main__",
        TURBO_ORM={"ON_EVENT_LOOP": [*listed]},
    )


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
def test_sentry(is_first, scratch):
    pytest.importorskip("sentry_sdk")
    hops, seen, errors = asked(SENTRY, is_first)
    assert hops["asynchronous"] == hops["bridge"] == []
    # Its receiver of got_request_exception is not listed.
    assert hops["failing"] == ["response_for_exception"]
    assert hops["thread"] != []
    # It sees the requests of both handlers alike.
    assert len(seen) == 8
    for djangos, ours in zip(seen[::2], seen[1::2], strict=True):
        assert djangos[0] == ours[0]
        assert {*ours[1]} >= {"middleware.django"}
    assert errors == ["KeyError"] * 2


@pytest.mark.parametrize("is_listed", [False, True])
def test_opentelemetry(is_listed, scratch):
    """It is middleware, which a project may list."""
    pytest.importorskip("opentelemetry.instrumentation.django")
    hops, _, _ = asked(OPENTELEMETRY, False, ["opentelemetry"] if is_listed else [])
    assert hops["thread"] != []
    assert (hops["asynchronous"] == []) is is_listed
