"""Views of every kind answer as under Django's handler: the response, signals, logs, errors."""

import asyncio

import pytest
from django.test import override_settings

from tests.handlers.asking import EventLoopHandler, ask
from tests.handlers.urls import ASYNC, ERRORS, SYNC

# What a request is received by, and logged by: by what is local, or may wait for anything.
SURROUNDINGS = [
    pytest.param({"signals": True, "is_local": True}, id="received"),
    pytest.param({"signals": False, "is_local": True}, id="alone"),
    pytest.param({"signals": True, "is_local": False}, id="slow"),
]
PATHS = {
    "async": [f"/async/{view.__name__}" for view in ASYNC],
    **{
        place: [f"/{place}/{view.__name__}" for view in SYNC]
        for place in ("thread", "bridge", "set")
    },
    "classes": ["/class/", "/class/bridge/", "/class/async/"],
    "others": ["/missing", "/slashed", "/names/"],
}
# With Django's handler a thread makes a list of a sync stream, of which it warns.
STREAMED = "ignore:StreamingHttpResponse must consume synchronous iterators"
ERROR_PATHS = [f"/raise/{at}/{kind}" for at in ("thread", "bridge", "async") for kind in ERRORS]


@pytest.mark.filterwarnings(STREAMED)
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("paths", PATHS)
def test_a_view(paths, surroundings, both):
    both(*PATHS[paths], leaks=True, **surroundings)


@pytest.mark.filterwarnings(STREAMED)
@pytest.mark.parametrize("paths", PATHS)
def test_views_where_all_is_on_the_event_loop(paths, both):
    with override_settings(TURBO_ORM={"SYNC_VIEWS": "bridge", "PATCH_DJANGO": True}):
        both(*PATHS[paths], leaks=True, signals=False)


@pytest.mark.parametrize("paths", PATHS)
def test_the_method_is_head(paths, both):
    both(*[path for path in PATHS[paths] if "stream" not in path], leaks=True, method="HEAD")


@pytest.mark.parametrize(
    "settings",
    [{}, {"SYNC_VIEWS": "bridge"}, {"ON_EVENT_LOOP": ["tests.handlers"]}],
    ids=["thread", "bridge", "listed"],
)
@pytest.mark.parametrize("urls", ["urls", "custom_urls"])
@pytest.mark.parametrize("surroundings", SURROUNDINGS[1:])
def test_an_error(surroundings, urls, settings, both):
    settings = {"PATCH_DJANGO": False, **settings}
    with override_settings(ROOT_URLCONF=f"tests.handlers.{urls}", TURBO_ORM=settings):
        both(*ERROR_PATHS, "/missing", "/thread/none", leaks=True, **surroundings)


def test_an_error_with_debug(both):
    """The pages show the stack, which is another one."""

    def same(answer):
        headers = [pair for pair in answer.headers if pair[0] != b"Content-Length"]
        title = answer.body.partition(b"</title>")[0]
        return answer._replace(headers=headers, body=title)

    with override_settings(DEBUG=True):
        answers = both(*ERROR_PATHS, "/missing", "/thread/none", same=same)
        assert {answer.status for answer in answers} == {400, 403, 404, 500}
        assert b"Odd" in answers[4].body


def test_an_error_that_is_not_handled(both):
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True):
        assert both("/raise/async/500").raised == "Odd: of the view"
        both(*ERROR_PATHS)


def test_error_views_that_are_missing_or_fail(both):
    for name in ("no_error_views", "failing_error_views"):
        with override_settings(ROOT_URLCONF=f"tests.handlers.{name}"):
            both("/missing", *ERROR_PATHS, signals=False)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_view_that_returns_a_coroutine(both):
    both("/thread/coroutine", "/bridge/coroutine")


def ask_ours(path):
    return asyncio.run(ask(EventLoopHandler(), path))


def test_a_stream_that_fails_has_begun():
    """Django's handler makes a list of it before it sends anything."""
    answer = ask_ours("/bridge/streamed_badly")
    assert (answer.status, answer.body) == (200, b"first")
    assert answer.raised == "Odd: of the stream"


@pytest.mark.parametrize("path", ["thread", "bridge"])
def test_the_thread_of_a_view(path):
    assert ask_ours(f"/{path}/thread_name").text == str(path == "bridge")
