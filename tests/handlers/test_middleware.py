"""Middleware of every style answers, raises and is called in the order of Django's handler."""

import asyncio
from unittest.mock import patch

import pytest
from django.test import override_settings
from django.utils.deprecation import MiddlewareMixin

from tests.handlers import middlewares
from tests.handlers.asking import EventLoopHandler, ask

pytestmark = pytest.mark.usefixtures("tables")

MODULE = "tests.handlers.middlewares"
STYLES = {
    "mixin": (["Mixin"], "process_request process_view process_exception process_response"),
    "joined": (
        ["Quiet", "Mixin", "Quiet"],
        "process_request process_view process_exception process_response",
    ),
    "joined twice": (
        ["Quiet", "Quiet", "function", "Mixin", "Quiet"],
        "process_request process_view process_exception process_response",
    ),
    "class": (["SyncHooks"], "call called process_view process_exception"),
    "async class": (["AsyncHooks"], "call called process_view process_exception"),
    "function": (["function"], "call called"),
    "async function": (["async_function"], "call called"),
    "either": (["either"], "call called"),
    "nested": (
        ["OuterMixin", "function", "async_function", "SyncHooks", "either", "Mixin"],
        "process_request call called process_view process_exception process_response",
    ),
}
ACTIONS = ["raise", "forbid", "answer"]
CASES = [
    (style, hook, action)
    for style, (_, hooks) in STYLES.items()
    for hook in [*hooks.split(), "process_template_response"]
    for action in ACTIONS
    if action != "forbid" or style == "nested"
    if hook != "process_template_response" or "process_view" in hooks
]
VIEWS = ["/thread/rendered", "/bridge/rendered", "/async/rendered_async"]
RAISING = ["/raise/thread/500", "/raise/bridge/500", "/raise/async/500"]
LISTS = {"none": (), "all": (MODULE,)}


@pytest.fixture(autouse=True)
def _acts():
    yield
    middlewares.acts.clear()
    middlewares.seen.clear()


def asked(both, style, paths, *, listed, **acts):
    """Ask with middleware, and compare which hooks were called, too."""
    names = [f"{MODULE}.{name}" for name in STYLES[style][0]]
    middlewares.acts.update(acts)
    settings = {"PATCH_DJANGO": False, "ON_EVENT_LOOP": LISTS[listed]}
    with override_settings(MIDDLEWARE=names, TURBO_ORM=settings):
        both(*paths, signals=False, after=middlewares.seen)


@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize("style", STYLES)
def test_hooks_are_called_in_order(style, listed, both):
    asked(both, style, VIEWS + RAISING, listed=listed)


@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize(("style", "hook", "action"), CASES)
def test_a_hook(style, hook, action, listed, both):
    paths = RAISING if hook == "process_exception" else VIEWS
    asked(both, style, paths, listed=listed, **{hook: action})


@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize("style", ["mixin", "class", "async class", "nested"])
def test_an_exception_while_a_template_is_rendered(style, listed, both):
    paths = ["/thread/rendered_badly", "/bridge/rendered_badly", "/async/rendered_badly_async"]
    for action in ("pass", "answer", "raise"):
        asked(both, style, paths, listed=listed, process_exception=action)


@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize("style", ["mixin", "class", "function", "either", "nested"])
def test_hooks_that_query(style, listed, both):
    """Those that are sync do, wherever they are called."""
    hooks = dict.fromkeys(STYLES[style][1].split(), "query")
    if style in ("nested", "either"):
        hooks = {hook: "query" for hook in hooks if not hook.startswith("call")}
    asked(both, style, VIEWS + RAISING, listed=listed, **hooks)


@pytest.mark.parametrize("debug", [False, True])
def test_middleware_that_is_not_used(debug, both):
    with override_settings(MIDDLEWARE=[f"{MODULE}.unused", f"{MODULE}.Mixin"], DEBUG=debug):
        both("/thread/sync", after=middlewares.seen)


async def _replaced(self, request):
    middlewares.seen.append("replaced")
    return await self.get_response(request)


def test_a_method_of_the_mixin_that_is_replaced_is_called():
    answers = []

    async def ask_both(application):
        answers.append((await ask(application, "/async/asynchronous")).status)
        with patch.object(MiddlewareMixin, "__acall__", _replaced):
            answers.append((await ask(application, "/async/asynchronous")).status)
        answers.append((await ask(application, "/async/asynchronous")).status)

    names = [f"{MODULE}.Quiet", f"{MODULE}.Quiet"]
    with override_settings(MIDDLEWARE=names, TURBO_ORM={"ON_EVENT_LOOP": (MODULE,)}):
        asyncio.run(ask_both(EventLoopHandler()))
    once = ["quiet request"] * 2 + ["quiet response 200"] * 2
    assert answers == [200] * 3
    assert middlewares.seen == [*once, "replaced", "replaced", *once]
